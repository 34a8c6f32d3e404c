// The page to try a sentence: asks /models and /explain, and writes what comes as text, never as HTML.
"use strict";

const at = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(1)}%`;
let models = [];

function headers() {
  const token = at("token").value || sessionStorage.getItem("token") || "";
  return token ? { Authorization: `Bearer ${token}` } : {};
}

async function ask(path, body) {
  const options = body ? { method: "POST", headers: headers(), body: JSON.stringify(body) } : { headers: headers() };
  const response = await fetch(path, options);
  if (response.status === 401) at("tokens").hidden = false;
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  if (at("token").value) sessionStorage.setItem("token", at("token").value); // gone with this tab
  return answer;
}

async function listModels() {
  models = (await ask("/models")).models;
  const chosen = at("model").value;
  at("model").replaceChildren(...models.map((each) => new Option(each.name, each.name, each.default)));
  if (models.some((each) => each.name === chosen)) at("model").value = chosen;
  at("models").hidden = models.length < 2;
}

function element(kind, className, text) {
  const made = document.createElement(kind);
  made.className = className;
  made.textContent = text;
  return made;
}

function bar(each) {
  const item = document.createElement("li");
  const track = element("span", "bar", "");
  const filled = document.createElement("i");
  filled.style.width = percent(each.confidence);
  track.append(filled);
  item.append(element("span", "name", String(each.name)), track, element("span", "number", percent(each.confidence)));
  return item;
}

function showWords(answer) {
  const words = answer.explanation[0].words; // the strongest first
  const most = Math.max(...words.map((each) => Math.abs(each.drop)), 1e-9);
  const letters = answer.text;
  const parts = [];
  let place = 0;
  for (const each of [...words].sort((one, other) => one.start - other.start)) {
    const start = letters.indexOf(each.word, place);
    if (start < 0) continue;
    parts.push(letters.slice(place, start));
    const word = element("span", "", each.word);
    const strength = Math.abs(each.drop) < 0.001 ? 0 : (0.6 * Math.abs(each.drop)) / most;
    word.style.background = `rgba(var(${each.drop < 0 ? "--against" : "--for"}), ${strength.toFixed(3)})`;
    word.title = `${each.drop < 0 ? "+" : "-"}${percent(Math.abs(each.drop))} without it`;
    parts.push(word);
    place = start + each.word.length;
  }
  at("words").replaceChildren(...parts, letters.slice(place));
  const strongest = words[0];
  at("legend").textContent = strongest.drop < 0.001
    ? "No word alone carried it: left out one at a time, none changes the probability."
    : `The stronger the colour, the more the probability changes when that word is left out. ` +
      `Without "${strongest.word}" it falls by ${(100 * strongest.drop).toFixed(1)} points; ` +
      `orange words speak against it.`;
}

function scopeOf(answer) {
  if (answer.in_scope === null) return ["", "This model can't tell which sentences are in scope."];
  const model = models.find((each) => each.name === at("model").value) || models[0] || {};
  const compared = `Scope score ${answer.in_scope_score.toFixed(2)}, threshold ${Number(model.threshold).toFixed(2)}.`;
  if (answer.in_scope) return ["good", `${compared} It is like the sentences that the model was trained on.`];
  return ["bad", `${compared} It is unlike the sentences that the model was trained on: don't trust the intent.`];
}

function show(answer) {
  const several = answer.intents;
  const named = several ? several.join(", ") : answer.intent;
  at("intent").textContent = named === null || named === "" ? "no intent" : String(named);
  const [kind, why] = scopeOf(answer);
  at("scope").hidden = kind === "";
  at("scope").className = `badge ${kind}`;
  at("scope").textContent = kind === "good" ? "in scope" : "out of scope";
  at("why").textContent = why;
  at("ranking").replaceChildren(...answer.intent_ranking.map(bar));
  at("ranked").hidden = answer.intent_ranking.length === 0;
  at("carried").hidden = answer.explanation.length === 0;
  if (answer.explanation.length) showWords(answer);
  at("result").hidden = false;
}

function fail(error) {
  at("error").textContent = error.message || String(error);
  at("error").hidden = false;
  at("result").hidden = true;
}

async function predict(event) {
  event.preventDefault();
  at("ask").disabled = true;
  at("error").hidden = true;
  try {
    await listModels();
    show(await ask("/explain", { text: at("text").value, top_k: 8, model: at("model").value }));
  } catch (error) {
    fail(error);
  } finally {
    at("ask").disabled = false;
  }
}

at("form").addEventListener("submit", predict);
at("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    at("form").requestSubmit();
  }
});
listModels().catch(() => { at("tokens").hidden = false; }).then(() => {
  const given = new URLSearchParams(location.hash.slice(1)).get("text"); // a link may bring a sentence: /#text=...
  if (given) {
    at("text").value = given;
    at("form").requestSubmit();
  }
});
