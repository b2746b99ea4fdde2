"use strict";

// The editor: shows the state that the server sends, and asks it for takes.
{
  const [title, facts, model, problem, status, play, clock, loop, match] = [
    "title", "facts", "model", "problem", "status", "play", "clock", "loop", "match",
  ].map(find);

  let state = { sound: null, runs: [], takes: [] };
  let edges = []; // times to which spans snap
  let form = null;

  const say = (text) => (status.textContent = text);
  const fail = (error) => (problem.textContent = error.message);
  const guarded = (action) => (...all) => Promise.resolve(action(...all)).catch(fail);

  // Waveform and spans

  const wave = new Wave(
    async (id, start, end, columns) =>
      new Int8Array(await (await ask(`peaks/${id}?start=${start}&end=${end}&columns=${columns}`)).arrayBuffer()),
    async (id, start, end, columns) =>
      createImageBitmap(await (await ask(`spectrogram/${id}?start=${start}&end=${end}&columns=${columns}`)).blob()),
  );
  const spans = new Spans(wave, { seek: (t) => playback.seek(t), change: () => changed(), snap, parse });
  const playback = new Playback({ show, choose: showVersion, fail });
  const lists = new TakeLists({ choose: (i) => playback.choose(i), say, guarded });

  function snap(t) {
    let nearest = t;
    for (const edge of edges) if (nearest === t || Math.abs(edge - t) < Math.abs(nearest - t)) nearest = edge;
    return nearest;
  }

  /** Times of a span after one of its fields was typed. */
  function parse(text, side, { start, end }) {
    return post("span", { text, side, start, end, values: form.values[form.verb.value] ?? {} });
  }

  find("snap").addEventListener("change", guarded(async () => {
    const kind = find("snap").value;
    edges = [];
    if (!kind) return;
    say("Searching beats …");
    const found = await (await ask("beats")).json();
    edges = found[kind];
    say(`${found.bpm.toFixed(1)} bpm`);
  }));

  const zoom = (factor) => wave.setZoom(wave.zoom * factor);
  find("zoom-in").addEventListener("click", () => zoom(2));
  find("zoom-out").addEventListener("click", () => zoom(0.5));
  find("zoom-all").addEventListener("click", () => wave.showAll());
  find("add").addEventListener("click", () => {
    const start = Math.max(0, Math.min(playback.position, wave.duration - 2));
    spans.set(spans.add(start, start), start, start + 2);
    spans.commit();
  });
  const undo = () => say(spans.undo() ? "Undone" : "Nothing to undo");
  find("undo").addEventListener("click", undo);
  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z" || event.target.closest("input, select")) return;
    event.preventDefault();
    if (event.shiftKey) say(spans.redo() ? "Done again" : "Nothing to do again");
    else undo();
  });

  // Request

  const request = () => form.request(spans.list);

  let waiting = 0;
  /** After a change of spans or options: show the command, and remember all for a refresh. */
  function changed() {
    if (!state.sound || !form) return;
    spans.show(find("spans"));
    find("undo").disabled = spans.done.length < 2;
    const { verb: command, spans: asked } = request();
    sessionStorage.setItem("form", JSON.stringify({ name: state.sound.name, command, values: form.values, spans: spans.times }));
    if (playback.player && loop.value === "span") setLoop();
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      const refused = find("refused");
      if (command === "inpaint" && !asked.length) {
        refused.textContent = "";
        find("command").textContent = "vamp inpaint … (drag over the waveform to name a span)";
        return;
      }
      try {
        const checked = await post("check", request());
        find("command").textContent = checked.command;
        refused.textContent = "";
      } catch (error) {
        refused.textContent = error.message;
      }
    }, 120);
  }

  find("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const { command } = await post("runs", request());
      find("refused").textContent = "";
      say(`In the queue: ${command}`);
    } catch (error) {
      find("refused").textContent = error.message;
    }
  });
  find("copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(find("command").textContent);
    } catch {
      getSelection().selectAllChildren(find("command"));
      document.execCommand("copy");
    }
    say("Copied");
  });

  // Player

  function showVersion() {
    const { chosen, group } = playback;
    const one = chosen ? playback.take(chosen) : null;
    const rate = state.sound.rate;
    const shown = one ?? (group === "recording" ? null : playback.members()[0]);
    wave.marks = one && group !== "recording" ? one.spans.map(([a, b]) => ({ start: a / rate, end: b / rate, name: "made" })) : [];
    if (one && group === "recording")
      wave.marks = one.sources.filter((place) => !place.file).map((place) => ({
        start: place.place_s,
        end: place.place_s + place.end_s - place.start_s,
        name: "similar place, used",
      }));
    wave.show({ id: shown?.id ?? "recording", rate, samples: playback.samples });
    showTakes();
    say(`Hearing ${one ? `${chosen}, ${one.name}` : "0, original"}`);
  }

  const setLoop = () => playback.setLoop(loop.value === "off" ? null : spans.list[0]);

  function show() {
    if (!playback.player) return;
    for (const control of [play, loop]) control.disabled = false;
    play.textContent = playback.player.playing ? "Pause" : "Play";
    move();
    showTakes();
  }

  function move() {
    if (!playback.player || !state.sound) return;
    wave.moveCursor(playback.position, playback.player.playing);
    clock.textContent = `${time(playback.position)} / ${time(playback.samples / state.sound.rate)}`;
  }

  function follow() {
    if (playback.player?.playing) move();
    requestAnimationFrame(follow);
  }
  requestAnimationFrame(follow);

  play.addEventListener("click", () => playback.player.toggle());
  loop.addEventListener("change", setLoop);
  match.addEventListener("change", () => playback.player?.setMatched(match.checked));
  bindKeys({ toggle: () => playback.player?.toggle() }, (i) => playback.choose(i), {
    l: () => {
      loop.value = loop.value === "off" ? "span" : "off";
      setLoop();
      say(`Loop ${loop.selectedOptions[0].textContent}`);
    },
    k: () => playback.chosen && lists.keep(playback.take(playback.chosen).id),
    "+": () => zoom(2),
    "-": () => zoom(0.5),
  });

  // The state that the server sends

  const showTakes = () => state.sound && lists.showTakes(state, playback.chosen, playback.group === "recording" ? "original" : "original, on this time line");

  let soundKey = "";
  function update(next) {
    const nKept = state.takes.filter((one) => one.kept).length;
    state = next;
    const { state: ready, error } = state.model;
    model.textContent = { waiting: "", loading: "The model is loading …", ready: "", failed: `The model cannot be loaded: ${error?.join(": ")}` }[ready];
    if (state.problem) problem.textContent = state.problem.join(": ");
    if (!state.sound) return;
    if (state.sound.key !== soundKey) {
      soundKey = state.sound.key;
      openSound();
    }
    playback.update(state);
    showTakes();
    lists.showRuns(state);
    if (state.takes.filter((one) => one.kept).length !== nKept) lists.showHistory();
  }

  function openSound() {
    const { name, rate, channels, n_samples: n, folder } = state.sound;
    title.textContent = document.title = name;
    facts.textContent = `${time(n / rate)}, ${rate} Hz, ${channels} channel${channels === 1 ? "" : "s"}`;
    find("folder").textContent = folder;
    find("editor").hidden = false;
    find("opener").open = false;
    playback.reset(state);
    edges = [];
    find("snap").value = "";
    wave.tiles.clear();
    wave.sound = null;
    wave.marks = [];
    wave.show({ id: "recording", rate, samples: n });
    const saved = JSON.parse(sessionStorage.getItem("form") ?? "{}");
    if (saved.name === name) form.restore(saved.command, saved.values);
    spans.reset(saved.name === name ? saved.spans : []);
    form.show();
    lists.showHistory();
    playback.later(() => playback.open("recording", 0));
  }

  bindFiles(guarded, () => (problem.textContent = ""));

  guarded(async () => {
    form = new RequestForm(await (await ask("schema")).json(), () => changed());
    const events = new EventSource("events");
    const GONE = "The server does not answer: it has ended, and takes that were not kept are lost. Start vamp ui again.";
    events.addEventListener("message", (event) => {
      if (problem.textContent === GONE) problem.textContent = "";
      update(JSON.parse(event.data));
    });
    events.addEventListener("error", () => (problem.textContent = GONE));
  })();

  globalThis.vampUi = {
    wave, spans, playback,
    get player() { return playback.player; },
    get state() { return state; },
    get tracks() { return playback.tracks; },
  };
}
