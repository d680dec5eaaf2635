// Attention on hover: for each .attention-hover of the page its models, each with a chooser, two lines of words, and a map.
(() => {
  "use strict";
  const make = (tag, into, text, name) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (name) element.className = name;
    into.append(element);
    return element;
  };
  const percent = (weight) => (weight >= 0.0995 || weight === 0 ? Math.round(100 * weight) : (100 * weight).toFixed(1)) + " %";
  const visible = (symbol) => symbol.replace(/ /g, "␣").replace(/\t/g, "⇥").replace(/\n/g, "↵");

  // the weights of one layer and head, or, for head -1, the mean of the layer's heads: rows of numbers from 0 to 1
  const weightsOf = (kind, layer, head) => {
    const heads = head < 0 ? kind.weights[layer] : [kind.weights[layer][head]];
    return kind.rows.map((_, row) => kind.columns.map((_, column) => heads.reduce((sum, map) => sum + map[row][column], 0) / heads.length / 1000));
  };

  const choose = (into, name, options, change) => {
    const label = make("label", into, name + " ");
    const select = make("select", label);
    options.forEach(([value, text]) => { make("option", select, text).value = value; });
    select.addEventListener("change", change);
    return select;
  };
  const refill = (select, options) => {
    const before = select.value;
    select.replaceChildren();
    options.forEach(([value, text]) => { make("option", select, text).value = value; });
    if (options.some(([value]) => String(value) === before)) select.value = before;
  };

  const shade = (element, weight, most) => {
    element.style.setProperty("--a", (most ? weight / most : 0).toFixed(3));
    element.classList.toggle("strong", most > 0 && weight / most > 0.5);
  };

  const draw = (model, into) => {
    const panel = make("section", into, undefined, "model");
    if (model.title) make("h3", panel, model.title).dir = "auto";
    const form = make("div", panel, undefined, "choose");
    const kindChoice = choose(form, "attention", model.kinds.map((kind, place) => [place, kind.title]), () => rebuild());
    const layerChoice = choose(form, "layer", [], () => rebuild());
    const headChoice = choose(form, "head", [], () => rebuild());
    kindChoice.value = model.kinds.length - 1;
    const said = make("p", panel, undefined, "said");
    said.setAttribute("aria-live", "polite");
    const stage = make("div", panel);

    const rebuild = () => {
      const kind = model.kinds[kindChoice.value];
      const layers = kind.weights.map((_, layer) => [layer, String(layer + 1)]);
      const fresh = layerChoice.options.length === 0;
      refill(layerChoice, layers);
      if (fresh) layerChoice.value = layers.length - 1;
      const heads = kind.weights[layerChoice.value].map((_, head) => [head, String(head + 1)]);
      refill(headChoice, heads.length > 1 ? [[-1, "mean of " + heads.length], ...heads] : heads);
      show(model, kind, Number(layerChoice.value), Number(headChoice.value), stage, said);
    };
    rebuild();
  };

  const show = (model, kind, layer, head, stage, said) => {
    stage.replaceChildren();
    const weights = weightsOf(kind, layer, head);
    const cells = kind.grid ? kind.grid[0] * kind.grid[1] : 0;
    const about = head < 0 ? "" : ((kind.said || [])[layer] || [])[head] || "";
    const rest = (about ? about + ". " : "") + "Point at a word, or move to it with Tab and the arrow keys.";
    said.textContent = rest;

    const picture = kind.grid ? place(model, kind, stage) : null;
    const rowsAreCells = kind.name === "encoder" && kind.grid;
    const line = (name, labels, from) => {
      const outer = make("div", stage, undefined, "line");
      make("span", outer, name, "name");
      const words = make("div", outer, undefined, "words");
      words.setAttribute("role", "group");
      words.setAttribute("aria-label", name);
      return labels.slice(from).map((label) => {
        const button = make("button", words);
        button.type = "button";
        make("bdi", button, visible(label));
        make("small", button, "");
        return button;
      });
    };
    const columnName = { cross: "source", encoder: "looked at", decoder: "had read" }[kind.name];
    const rowName = { cross: "writes", encoder: rowsAreCells ? "cell" : "word", decoder: "writes" }[kind.name];
    const columns = [...Array(cells).fill(null), ...(kind.columns.length > cells ? line(columnName, kind.columns, cells) : [])];
    const rows = line(rowName, kind.rows, 0);
    // cells are seen in the picture, and are no columns of a table
    const grid = kind.columns.length > cells ? table(kind, weights, stage, cells) : [];

    const clear = () => {
      [...rows, ...columns].forEach((button) => {
        if (!button) return;
        shade(button, 0, 0);
        button.classList.remove("chosen");
        button.lastChild.textContent = "";
      });
      grid.forEach((row) => row.element.classList.remove("chosen"));
      stage.querySelectorAll(".chosen").forEach((element) => element.classList.remove("chosen"));
      if (picture) picture.clear();
    };
    const mark = (buttons, values) => buttons.forEach((button, place) => {
      if (!button) return;
      shade(button, values[place], 1);
      button.lastChild.textContent = values[place] >= 0.0005 ? percent(values[place]) : "";
    });
    const list = (names, values) => values.map((value, place) => [value, names[place]]).sort((a, b) => b[0] - a[0]).slice(0, 4)
      .filter(([value]) => value >= 0.0005).map(([value, name]) => visible(name) + " " + percent(value)).join(", ");
    const showRow = (row) => {
      clear();
      rows[row].classList.add("chosen");
      if (rowsAreCells) picture.cells[row].classList.add("chosen");
      if (grid.length) grid[row].element.classList.add("chosen");
      mark(columns, weights[row]);
      if (picture) picture.show(weights[row].slice(0, cells), weights);
      const onImage = cells && kind.columns.length > cells ? "image " + percent(weights[row].slice(0, cells).reduce((a, b) => a + b, 0)) + ", " : "";
      said.textContent = visible(kind.rows[row]) + " looks at: " + onImage + list(kind.columns, weights[row]);
    };
    const showColumn = (column) => {
      clear();
      if (columns[column]) columns[column].classList.add("chosen");
      else picture.cells[column].classList.add("chosen");
      if (column >= cells) grid.forEach((row) => row.cells[column - cells].classList.add("chosen"));
      const values = weights.map((row) => row[column]);
      mark(rows, values);
      said.textContent = visible(kind.columns[column]) + " is looked at by: " + list(kind.rows, values);
    };
    const listen = (buttons, act) => {
      const there = buttons.filter((button) => button);
      there.forEach((button, place) => {
        button.tabIndex = place === 0 ? 0 : -1;  // one stop for Tab; the arrows go on
        const chosen = () => act(buttons.indexOf(button));
        button.addEventListener("pointerenter", chosen);
        button.addEventListener("focus", chosen);
        button.addEventListener("click", chosen);
        button.addEventListener("keydown", (event) => {
          const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
          const goal = event.key === "Home" ? there[0] : event.key === "End" ? there[there.length - 1] : there[place + (steps[event.key] || 0)];
          if (!goal || !(event.key in steps || event.key === "Home" || event.key === "End")) return;
          event.preventDefault();
          there.forEach((each) => { each.tabIndex = each === goal ? 0 : -1; });
          goal.focus();
        });
      });
    };
    listen(rows, showRow);
    listen(columns, showColumn);
    grid.forEach((row, place) => row.element.addEventListener("pointerenter", () => showRow(place)));
    if (picture) picture.cells.forEach((cell, place) => cell.addEventListener("pointerenter", () => (rowsAreCells ? showRow : showColumn)(place)));
  };

  // the image, or a bare grid, under the cells that are looked at
  const place = (model, kind, stage) => {
    const [down, across] = kind.grid;
    const frame = make("div", stage, undefined, "place bare");
    if (model.picture) {
      const image = make("img", frame);
      image.alt = "the source image";
      image.src = model.picture;
    }
    frame.classList.toggle("empty", !model.picture);
    const overlay = make("div", frame, undefined, "cells");
    overlay.style.gridTemplate = "repeat(" + down + ", 1fr) / repeat(" + across + ", 1fr)";
    const cells = Array.from({ length: down * across }, () => make("i", overlay));
    return {
      cells,
      clear: () => { frame.classList.add("bare"); cells.forEach((cell) => shade(cell, 0, 0)); },
      show: (values, all) => {
        frame.classList.remove("bare");
        const most = Math.max(...all.flatMap((row) => row.slice(0, cells.length)));
        // as in the printed figure, a tenth of the largest weight is still seen
        cells.forEach((cell, place) => shade(cell, 0.85 * (most ? values[place] / most : 0) ** (2 / 3), 1));
      },
    };
  };

  const table = (kind, weights, stage, from) => {
    const whole = make("table", make("div", stage, undefined, "scroll"));
    whole.setAttribute("aria-hidden", "true");  // what is said above says it in words
    const top = make("tr", make("thead", whole));
    make("th", top);
    kind.columns.slice(from).forEach((name) => make("span", make("th", top), visible(name), visible(name).length > 2 ? "turned" : ""));
    const body = make("tbody", whole);
    return weights.map((row, place) => {
      const element = make("tr", body);
      make("bdi", make("th", element), visible(kind.rows[place]));
      const cells = row.slice(from).map((weight, index) => {
        const cell = make("td", element);
        const column = from + index;
        if (kind.seen && !kind.seen[place][column]) cell.className = "unseen";
        else { shade(cell, weight, 1); cell.title = visible(kind.rows[place]) + " → " + visible(kind.columns[column]) + ": " + percent(weight); }
        return cell;
      });
      return { element, cells };
    });
  };

  const drawAll = () => document.querySelectorAll(".attention-hover").forEach((root) => {
    if (root.dataset.drawn) return;
    root.dataset.drawn = "yes";
    const data = JSON.parse(root.querySelector("script[type='application/json']").textContent);
    const models = make("div", root, undefined, "models");
    data.forEach((model) => draw(model, models));
  });
  drawAll();
  addEventListener("attention-hover", drawAll);  // sent by a page that has put in another
})();
