// The page of `seqcli serve`: what is typed or chosen goes to /translate, one of the answers to /attention, an image to /overlay too.
(() => {
  "use strict";
  const at = (id) => document.getElementById(id);
  const settings = JSON.parse(at("settings").textContent);
  const show = (id, shown) => { at(id).hidden = !shown; };
  const percent = (part) => (part >= 0.0995 ? Math.round(100 * part) : part >= 0.0005 ? (100 * part).toFixed(1) : "< 0.1") + " %";
  const signed = (value) => (Math.abs(value) < 0.0005 ? "0.000" : value.toFixed(3).replace("-", "−"));
  let picture = null;  // the image that was chosen
  let shown = null;  // the question and the hypothesis that are looked at
  let running = null;  // what can be broken off

  const put = (name, text) => { at(name).textContent = text; };
  const complain = (id, sentence) => { put(id, sentence || ""); show(id, Boolean(sentence)); };

  // what is asked, as a form where there is an image, else as JSON
  const request = (fields) => {
    if (!settings.images) return { body: JSON.stringify(fields), headers: { "Content-Type": "application/json" } };
    const form = new FormData();
    Object.entries(fields).forEach(([name, value]) => form.append(name, value instanceof Blob ? value : String(value)));
    return { body: form };
  };
  const ask = async (route, fields, signal) => {
    let answer;
    try {
      answer = await fetch(route, { method: "POST", ...request(fields), signal });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Error("The server does not answer.");
    }
    if (answer.ok) return answer;
    const told = await answer.json().catch(() => ({}));
    throw new Error(told.error ? told.error[0].toUpperCase() + told.error.slice(1) + "." : "The server answers with " + answer.status + ".");
  };

  const source = () => {
    const fields = {};
    if (settings.images) fields.image = picture;
    if (settings.texts) fields[settings.images ? "question" : "source"] = at("text").value;
    if (settings.tasks.length) fields.task = at("task").value;
    if (settings.features) fields.features = at("features").value;
    return fields;
  };
  const search = () => {
    const fields = {};
    const number = (id) => (at(id).value === "" ? null : Number(at(id).value));
    if (number("beam") !== null && number("beam") !== settings.beam) fields.beam_size = number("beam");
    if (number("penalty") !== null && number("penalty") !== settings.penalty) fields.length_penalty = number("penalty");
    return fields;
  };
  const missing = () => {
    if (settings.images && !picture) return "Choose an image first.";
    if (picture && picture.size > settings.bytes * 0.95) return "The image has too many bytes; " + Math.floor(settings.bytes / 1048576) + " MB may be sent.";
    if (settings.texts && !settings.images && !at("text").value.trim()) return "Type something first.";
    return "";
  };

  const translate = async () => {
    complain("wrong", missing());
    if (missing()) return;
    if (running) running.abort();
    const mine = running = new AbortController();
    const asked = source();
    at("go").disabled = true;
    at("best").classList.add("stale");
    const since = performance.now();
    try {
      const fields = { ...asked, ...search(), nbest: Math.max(1, Number(at("nbest").value) || 1), scores: true };
      const answer = await (await ask("/translate", fields, mine.signal)).json();
      const found = answer.translations || [{ text: answer.translation, score: answer.score, log_prob: answer.log_prob }];
      const took = Math.round(performance.now() - since);
      put("best", answer.translation);
      put("said", (answer.translation ? "" : "The model writes nothing. ") + took + " ms" + (answer.cut ? "; the source is longer than the model reads" : ""));
      list(found, asked);
      if (found.length && found[0].text) await look(asked, found[0].text, mine.signal);
      else show("looked", false);
    } catch (error) {
      if (error.name === "AbortError") return;
      put("best", "");
      put("said", "");
      show("others", false);
      show("looked", false);
      complain("wrong", error.message);
    } finally {
      if (running === mine) {
        running = null;
        at("go").disabled = false;
        at("best").classList.remove("stale");
      }
    }
  };

  // the hypotheses, best first; one that is chosen is looked at
  const list = (found, asked) => {
    const items = found.map((one, place) => {
      const item = document.createElement("li");
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", String(place === 0));
      const text = document.createElement("bdi");
      text.textContent = one.text || "(nothing)";
      const score = document.createElement("span");
      score.className = "score";
      const scored = one.log_prob !== null && one.score !== null;  // a damaged model's are no numbers
      const probability = scored ? Math.exp(one.log_prob) : 0;
      score.textContent = scored ? percent(probability) + " · " + signed(one.score) : "no score";
      score.title = "its probability, and the score that the order follows";
      const likely = document.createElement("span");
      likely.className = "likely";
      const bar = document.createElement("i");
      bar.style.width = 100 * probability + "%";
      likely.append(bar);
      button.append(text, score, likely);
      button.addEventListener("click", () => {
        at("list").querySelectorAll("button").forEach((each) => each.setAttribute("aria-pressed", String(each === button)));
        put("best", one.text);
        if (one.text) look(asked, one.text).catch((error) => complain("no-attention", error.message));
      });
      item.append(button);
      return item;
    });
    at("list").replaceChildren(...items);
    show("others", found.length > 1);
  };

  const look = async (asked, target, signal) => {
    shown = { asked, target };
    const mine = shown;
    show("looked", true);
    show("drawing", false);
    show("overlay", false);
    show("keep", false);
    complain("drawn-wrong", "");
    let answer;
    try {
      if (target.length > settings.shown) throw new Error("This is too long to look at; " + settings.shown + " characters can be.");
      answer = await (await ask("/attention", { ...asked, target, words: at("words").checked, picture: settings.images }, signal)).json();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      if (mine !== shown) return;
      at("maps").replaceChildren();
      complain("no-attention", error.message);
      return;
    }
    if (mine !== shown) return;
    complain("no-attention", "");
    maps(answer);
    show("drawing", settings.images && Boolean(answer.picture));
  };

  const maps = (answer) => {
    const thousandths = (value) => (Array.isArray(value) ? value.map(thousandths) : Math.round(1000 * value));
    const kinds = answer.kinds.map((kind) => ({ ...kind, weights: thousandths(kind.weights), said: null }));
    const box = document.createElement("div");
    box.className = "attention-hover";
    const data = document.createElement("script");
    data.type = "application/json";
    data.textContent = JSON.stringify([{ title: "", kinds, picture: answer.picture || null }]);
    box.append(data);
    at("maps").replaceChildren(box);
    dispatchEvent(new Event("attention-hover"));
  };

  const draw = async () => {
    const { asked, target } = shown;
    complain("drawn-wrong", "");
    at("draw").disabled = true;
    try {
      const dark = matchMedia("(prefers-color-scheme: dark)").matches;
      const answer = await ask("/overlay", { ...asked, target, figure: at("figure").value, words: at("words").checked, dark });
      const content = await answer.blob();
      URL.revokeObjectURL(at("overlay").src);
      at("overlay").src = at("keep").href = URL.createObjectURL(content);
      at("keep").download = "attention." + (content.type === "image/gif" ? "gif" : "png");
      show("overlay", true);
      show("keep", true);
    } catch (error) {
      complain("drawn-wrong", error.message);
    } finally {
      at("draw").disabled = false;
    }
  };

  const choose = (file) => {
    if (!file) return;
    picture = file;
    URL.revokeObjectURL(at("preview").src);
    at("preview").src = URL.createObjectURL(file);
    at("preview").alt = "the chosen image";
    show("preview", true);
    put("drop-hint", file.name || "from the clipboard");
    if (!settings.texts) translate();
  };

  show("text-field", settings.texts);
  show("image-field", settings.images);
  show("task-field", settings.tasks.length > 0);
  settings.tasks.forEach((name) => at("task").append(new Option(name, name)));
  show("features-field", settings.features);
  show("overlay-route", settings.images);
  if (settings.images) {
    put("text-name", "Question");
    put("written-name", settings.texts ? "Answer" : "Caption");
    put("go", settings.texts ? "Answer" : "Describe");
    at("text").rows = 2;
    at("text").classList.add("short");
  }
  put("hint", settings.texts ? "Enter asks, Shift+Enter begins a new line" : "");
  at("text").maxLength = settings.characters;
  at("beam").value = settings.beam;
  at("beam").max = at("nbest").max = settings.most;
  at("penalty").value = settings.penalty;

  at("search").open = innerWidth >= 800;  // where there is room for it

  at("ask").addEventListener("submit", (event) => { event.preventDefault(); translate(); });
  at("text").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    translate();
  });
  at("words").addEventListener("change", () => { if (shown) look(shown.asked, shown.target).catch((error) => complain("no-attention", error.message)); });
  at("draw").addEventListener("click", draw);
  at("image").addEventListener("change", (event) => choose(event.target.files[0]));
  const drop = at("drop");
  ["dragenter", "dragover"].forEach((name) => drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); }));
  ["dragleave", "drop"].forEach((name) => drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.remove("over"); }));
  drop.addEventListener("drop", (event) => choose([...event.dataTransfer.files].find((file) => file.type.startsWith("image/"))));
  addEventListener("paste", (event) => { if (settings.images) choose([...event.clipboardData.files].find((file) => file.type.startsWith("image/"))); });
})();
