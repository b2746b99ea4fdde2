"use strict";

/** Lists of takes, runs and earlier takes. */
class TakeLists {
  /** @param {{choose: (i: number) => void, say: (text: string) => void, guarded: (action: Function) => Function}} on calls */
  constructor(on) {
    this.on = on;
    this.state = null;
    this.keep = on.guarded(async (id) => {
      const { path } = await post(`takes/${id}/keep`);
      on.say(`Kept: ${path}`);
    });
    this.showHistory = on.guarded(() => this.loadHistory());
  }

  /** Show takes; the one that is heard is marked. */
  showTakes(state, chosen, baseName) {
    this.state = state;
    const original = { id: "original", name: baseName };
    sync(find("takes"), [original, ...state.takes], (one) => (one === original ? this.originalRow() : this.row(one)), (row, one, i) => {
      const button = row.querySelector(".choose");
      button.replaceChildren(make("kbd", { textContent: i }), ` ${this.shortName(one.name)}`);
      button.ariaPressed = String(i === chosen);
      row.classList.toggle("heard", i === chosen);
      row.querySelector(".facts").textContent = takeWords(one === original ? { facts: { lufs: state.sound.lufs } } : one);
      const kept = row.querySelector(".keep");
      if (kept) [kept.textContent, kept.disabled, kept.ariaLabel] = [one.kept ? "Kept" : "Keep", Boolean(one.kept), `${one.kept ? "Kept:" : "Keep"} ${one.name}`];
    });
  }

  /** The name of a file without that of the recording and the suffix: `inpaint.7`. */
  shortName(name) {
    const stem = this.state.sound.name.replace(/\.[^.]*$/, "");
    return name.startsWith(`${stem}.`) ? name.slice(stem.length + 1).replace(/\.[^.]*$/, "") : name;
  }

  originalRow() {
    const button = make("button", { className: "choose", onclick: () => this.on.choose(0) });
    return make("li", { className: "track" }, make("div", { className: "row" }, button), make("p", { className: "facts" }));
  }

  row(one) {
    const number = () => this.state.takes.findIndex((other) => other.id === one.id) + 1;
    const button = make("button", { className: "choose", title: one.name, onclick: () => this.on.choose(number()) });
    const link = make("a", { href: `file/${one.id}`, download: one.name, draggable: true, textContent: "Download", title: "or drag it into another program", ariaLabel: `Download ${one.name}` });
    link.addEventListener("dragstart", (event) => {
      event.dataTransfer.setData("DownloadURL", `audio/wav:${one.name}:${link.href}`);
      event.dataTransfer.setData("text/uri-list", link.href);
    });
    const replay = make("button", { textContent: "Replay", title: "make it again from its recipe, and compare", ariaLabel: `Replay ${one.name}`, onclick: this.on.guarded(() => post(`takes/${one.id}/replay`)) });
    const keep = make("button", { className: "keep", onclick: () => this.keep(one.id) });
    return make("li", { className: "track" }, make("div", { className: "row" }, button, keep, replay, link), make("p", { className: "facts" }));
  }

  showRuns(state) {
    const shown = state.runs.filter((run) => !["done", "cancelled"].includes(run.state) || run.notes.length);
    sync(find("runs"), shown.slice(-12), (run) => make("li", {},
      make("progress", { max: 1, ariaLabel: `Progress of ${run.verb}` }),
      make("span"), make("button", { type: "button", textContent: "Cancel", ariaLabel: `Cancel ${run.verb}`, onclick: this.on.guarded(() => post(`runs/${run.id}/cancel`)) })),
    (row, run) => {
      const [bar, text, cancel] = row.children;
      const ended = !["queued", "running"].includes(run.state);
      bar.hidden = cancel.hidden = ended;
      row.className = ended && run.state !== "failed" ? "soft" : "";
      bar.value = run.total ? run.step / run.total : 0;
      text.textContent = runWords(run, state.model.state === "ready");
    });
  }

  async loadHistory() {
    const found = (await (await ask("history")).json()).map((one) => ({ ...one, id: one.name }));
    sync(find("history"), found, ({ name }) => make("li", {},
      make("span", { textContent: name }),
      make("button", { textContent: "Load", ariaLabel: `Load ${name}`, onclick: this.on.guarded(async () => { await post("history", { name }); await this.loadHistory(); }) })), () => {});
    if (!found.length) find("history").replaceChildren(make("li", { className: "soft", textContent: "None yet." }));
  }
}
