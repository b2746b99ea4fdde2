"use strict";

// Requests, elements and words.

const find = (id) => document.getElementById(id);
const time = (s) => `${Math.floor(s / 60)}:${(s % 60).toFixed(2).padStart(5, "0")}`;

/** Ask the server; an error becomes an exception with its message and cure. */
async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer.");
  }
  if (answer.ok) return answer;
  const { error, hint } = await answer.json().catch(() => ({ error: `error ${answer.status}` }));
  throw new Error(hint ? `${error}: ${hint}` : error);
}
const post = (path, content = {}) => ask(path, { method: "POST", body: JSON.stringify(content) }).then((answer) => answer.json());

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Keep the elements of a list in step with items; each is made once and then filled anew. */
function sync(list, items, create, fill) {
  const old = new Map([...list.children].map((element) => [element.dataset.id, element]));
  items.forEach((item, i) => {
    let element = old.get(item.id);
    old.delete(item.id);
    if (!element) {
      element = create(item);
      element.dataset.id = item.id;
    }
    if (list.children[i] !== element) list.insertBefore(element, list.children[i] ?? null);
    fill(element, item, i);
  });
  for (const element of old.values()) element.remove();
}

/** Loudness and scores, as `vamp --keep` prints them. */
function takeWords({ facts: known, identical }) {
  const found = [];
  if (identical === true) found.push("the same samples as before");
  if (identical === false) found.push("not the same samples as before");
  if (typeof known.lufs === "number") found.push(`${known.lufs.toFixed(1)} LUFS`);
  if (typeof known.total === "number") found.push(`score ${known.total.toFixed(2)}`);
  for (const [name, digits, unit] of [["click", 1, ""], ["jump", 1, ""], ["level_db", 1, " dB"], ["colour_db", 1, " dB"], ["attacks", 2, ""]])
    if (typeof known[name] === "number") found.push(`${name.replace("_db", "")} ${known[name].toFixed(digits)}${unit}`);
  if (known.hopeless) found.push(`hopeless: ${known.hopeless}`);
  return found.join(" · ");
}

/** What has become of a run. */
function runWords(run, isReady) {
  const name = `${run.verb}, ${run.n_takes} take${run.n_takes === 1 ? "" : "s"}`;
  if (run.state === "failed") return `${name}: failed: ${run.error.filter(Boolean).join(": ")}`;
  if (run.state === "queued") return isReady ? `${name}: ${run.ahead} before it` : `${name}: waits for the model`;
  if (run.state === "running") {
    const left = run.remaining_s === null ? "" : `, ${run.remaining_s < 1.5 ? "1 s" : `${Math.round(run.remaining_s)} s`} left`;
    return `${name}: step ${run.step} of ${run.total || "…"}${left}`;
  }
  return run.notes.at(-1) ?? name;
}
