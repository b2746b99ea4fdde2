"use strict";

/** The form of a request: its fields are the options of the chosen command. */
class RequestForm {
  /**
   * @param {Object<string, object[]>} schema options by command
   * @param {() => void} onchange called after every change
   */
  constructor(schema, onchange) {
    this.schema = schema;
    this.onchange = onchange;
    this.values = {}; // by command
    this.verb = find("verb");
    this.verb.append(...Object.keys(schema).map((name) => make("option", { value: name, textContent: name })));
    this.verb.addEventListener("change", () => this.show());
  }

  restore(verb, values) {
    this.verb.value = verb;
    Object.assign(this.values, values);
  }

  /** Show the fields of the command: the main ones, then the others by panels. */
  show() {
    const [first, more] = [find("main"), find("more")];
    first.replaceChildren();
    more.replaceChildren();
    const panels = new Map();
    const main = [...(RequestForm.MAIN[this.verb.value] ?? []), "takes", "seed"];
    for (const option of this.schema[this.verb.value]) {
      const field = this.field(option);
      if (main.includes(option.key)) {
        first.append(field);
        continue;
      }
      if (!panels.has(option.panel)) {
        panels.set(option.panel, make("div", { className: "fields" }));
        more.append(make("h3", { textContent: option.panel }), panels.get(option.panel));
      }
      panels.get(option.panel).append(field);
    }
    this.onchange();
  }

  field({ key, kind, help, default: usual, choices }) {
    const mine = (this.values[this.verb.value] ??= {});
    const type = { flag: "checkbox", text: "text" }[kind] ?? "number";
    const input = kind === "choice" ? make("select") : make("input", { type });
    if (kind === "choice") {
      const names = choices.includes(usual) ? choices : ["", ...choices];
      input.append(...names.map((name) => make("option", { value: name === usual ? "" : name, textContent: name })));
    }
    if (kind === "number") input.step = "any";
    if (kind === "flag") input.checked = mine[key] ?? false;
    else [input.placeholder, input.value] = [usual, mine[key] ?? ""];
    input.name = key;
    input.addEventListener("input", () => {
      mine[key] = kind === "flag" ? input.checked : input.value;
      this.onchange();
    });
    const name = key.replaceAll("-", " ");
    const label = kind === "flag" ? [input, ` ${name}`] : [`${name} `, input];
    return make("label", {}, ...label, make("small", { textContent: help }));
  }

  /** @param {{start: number, end: number}[]} spans in seconds */
  request(spans) {
    const text = (t) => String(Math.round(t * 1000) / 1000);
    const verb = this.verb.value;
    return {
      verb,
      values: this.values[verb] ?? {},
      spans: verb === "outpaint" ? [] : spans.map(({ start, end }) => `${text(start)}-${text(end)}`),
    };
  }
}

/** Options that are shown first, by command. */
RequestForm.MAIN = { outpaint: ["after", "before"], loop: ["repeats", "variation"], vamp: ["amount", "preset"] };
