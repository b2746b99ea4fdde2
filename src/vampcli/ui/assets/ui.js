"use strict";

// The editor: shows the state that the server sends, and asks it for takes.
{
  const AROUND_S = 1; // sound around a span that differs from the recording at most
  const WINDOW_S = 120; // decoded at once of a longer recording
  const [title, facts, model, problem, status, play, clock, loop, match] = [
    "title", "facts", "model", "problem", "status", "play", "clock", "loop", "match",
  ].map(find);

  let state = { sound: null, runs: [], takes: [] };
  let group = "recording"; // takes with the time line of the player
  let tracks = []; // ids of the versions in the player; the first is the original
  let chosen = 0; // number of the take that is heard, 0 = the original
  let range = [0, 0]; // samples of the group that are decoded
  let player = null;
  let loading = Promise.resolve();
  let edges = [];

  const say = (text) => (status.textContent = text);
  const take = (i) => state.takes[i - 1];
  const origin = () => range[0] / state.sound.rate;

  const guarded = (action) => (...all) => Promise.resolve(action(...all)).catch((error) => (problem.textContent = error.message));

  // Waveform and spans

  const wave = new Wave(
    async (id, start, end, columns) =>
      new Int8Array(await (await ask(`peaks/${id}?start=${start}&end=${end}&columns=${columns}`)).arrayBuffer()),
    { seek: (t) => seek(t), change: () => changed(), snap },
  );

  function snap(t) {
    let nearest = t;
    for (const edge of edges) if (nearest === t || Math.abs(edge - t) < Math.abs(nearest - t)) nearest = edge;
    return nearest;
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

  find("zoom-in").addEventListener("click", () => wave.setZoom(wave.zoom * 2));
  find("zoom-out").addEventListener("click", () => wave.setZoom(wave.zoom / 2));
  find("zoom-all").addEventListener("click", () => wave.showAll());
  find("add").addEventListener("click", () => {
    const start = Math.max(0, Math.min(player ? position() : 0, wave.duration - 2));
    wave.setSpan(wave.addSpan(start, start), start, start + 2);
  });

  function showSpans() {
    wave.spans.forEach((span, i) => {
      span.id ??= String(performance.now() + i);
      wave.placeSpan(span);
    });
    sync(find("spans"), wave.spans, (span) => {
      const field = (side) => {
        const input = make("input", { type: "number", step: 0.001, min: 0 });
        input.addEventListener("input", () => {
          if (input.value === "") return;
          if (side === "start") wave.setSpan(span, Number(input.value), span.end);
          else wave.setSpan(span, span.start, Number(input.value));
        });
        return input;
      };
      const remove = make("button", { type: "button", textContent: "Remove", onclick: () => wave.removeSpan(span) });
      return make("li", {}, make("label", {}, "", field("start")), make("label", {}, "to ", field("end")), " s", remove);
    }, (row, span, i) => {
      const [start, end] = row.querySelectorAll("input");
      row.firstChild.firstChild.textContent = `Span ${i + 1} from `;
      row.querySelector("button").ariaLabel = `Remove span ${i + 1}`;
      for (const [input, value] of [[start, span.start], [end, span.end]]) if (document.activeElement !== input) input.value = value;
    });
  }

  // Request

  let form = null;
  const request = () => form.request(wave.spans);

  let waiting = 0;
  /** After a change of spans or options: show the command, and remember all for a refresh. */
  function changed() {
    if (!state.sound || !form) return;
    showSpans();
    const { verb: command, spans } = request();
    sessionStorage.setItem("form", JSON.stringify({ name: state.sound.name, command, values: form.values, spans: wave.spans.map((s) => [s.start, s.end]) }));
    if (player && loop.value === "span") setLoop();
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      const refused = find("refused");
      if (command === "inpaint" && !spans.length) {
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

  const position = () => origin() + player.position;
  const samplesOf = (name) => (name === "recording" ? state.sound.n_samples : state.takes.find((one) => one.group === name).n_samples);
  const members = (name) => state.takes.filter((one) => one.group === name);

  /** Levels of versions: as loud as the quietest, but at most 12 dB lower. */
  function levels() {
    const lufs = tracks.map((id) => (id === tracks[0] ? state.sound.lufs : state.takes.find((one) => one.id === id)?.facts.lufs) ?? null);
    const known = lufs.filter((one) => one !== null);
    const target = Math.max(Math.min(...known), Math.max(...known) - 12);
    return lufs.map((one) => (one === null ? 0 : Math.min(0, target - one)));
  }

  async function sound(id, start, end) {
    return (await ask(`audio/${id}?start=${start}&end=${end}`)).arrayBuffer();
  }

  /** What differs from the original within the decoded range. */
  async function track(one) {
    const around = Math.round(AROUND_S * state.sound.rate);
    const pieces = [];
    for (const [a, b] of group === "recording" ? one.spans : [[0, one.n_samples]]) {
      const [start, end] = [Math.max(a - around, range[0]), Math.min(b + around, range[1])];
      const last = pieces.at(-1);
      if (last && start <= last[1]) last[1] = Math.max(end, last[1]);
      else if (start < end) pieces.push([start, end]);
    }
    const segments = pieces.map(async ([start, end]) => ({ start: start - range[0], data: await sound(one.id, start, end) }));
    return { gain_db: 0, segments: await Promise.all(segments) };
  }

  /** Decode the versions of a group around a time. */
  async function open(name, at) {
    const { rate, channels } = state.sound;
    const n = samplesOf(name);
    const length = Math.min(n, WINDOW_S * rate);
    const start = Math.floor(Math.min(Math.max(0, at * rate - length / 2), n - length));
    const old = player;
    const wasPlaying = old?.playing;
    old?.pause();
    play.disabled = true;
    [group, range] = [name, [start, start + length]];
    const takes = members(name);
    tracks = [name === "recording" ? "recording" : `base-${takes[0].id}`, ...takes.map((one) => one.id)];
    const opened = new TakePlayer({ rate, channels, samples: length, exact: true }, show);
    if (old?.context) opened.context = old.context;
    const base = { gain_db: 0, segments: [{ start: 0, data: await sound(tracks[0], ...range) }] };
    await opened.load([base, ...(await Promise.all(takes.map(track)))]);
    opened.matched = match.checked;
    opened.setLevels(levels());
    player = opened;
    player.at = Math.min(Math.max(0, at - start / rate), player.duration);
    for (const control of [play, loop]) control.disabled = false;
    setLoop();
    document.documentElement.dataset.ready = `${name} ${tracks.length}`;
    if (wasPlaying) player.play();
    show();
  }

  /** One after another, so that the last one asked for is what is heard. */
  const later = (action) => (loading = loading.then(action).catch((error) => (problem.textContent = error.message)));

  /** Decode takes that have come since. */
  async function addTakes() {
    if (!player) return;
    for (const one of members(group)) {
      if (tracks.includes(one.id)) continue;
      await player.add(await track(one));
      tracks.push(one.id);
      document.documentElement.dataset.ready = `${group} ${tracks.length}`;
    }
    player.setLevels(levels());
  }

  function choose(i) {
    if (i && !take(i)) return;
    chosen = i;
    later(async () => {
      const wanted = i ? take(i).group : group;
      const id = i ? take(i).id : tracks[0];
      if (wanted !== group || !player) await open(wanted, player ? position() : 0);
      else await addTakes();
      player.select(Math.max(0, tracks.indexOf(id)));
      drawVersion();
      say(`Hearing ${i ? `${i}, ${take(i).name}` : "0, original"}`);
    });
  }

  function drawVersion() {
    const one = chosen ? take(chosen) : null;
    const rate = state.sound.rate;
    const shown = one ?? (group === "recording" ? null : members(group)[0]);
    wave.marks = one && group !== "recording" ? one.spans.map(([a, b]) => ({ start: a / rate, end: b / rate, name: "made" })) : [];
    if (one && group === "recording")
      wave.marks = one.sources.filter((place) => !place.file).map((place) => ({
        start: place.place_s,
        end: place.place_s + place.end_s - place.start_s,
        name: "similar place, used",
      }));
    wave.show({ id: shown?.id ?? "recording", rate, samples: shown?.n_samples ?? state.sound.n_samples });
    showTakes();
  }

  function seek(t) {
    later(async () => {
      if (!player || t < origin() || t >= origin() + player.duration) await open(group, t);
      player.seek(t - origin());
    });
  }

  function setLoop() {
    const span = wave.spans[0];
    if (loop.value === "off" || !span) player.setLoop(null);
    else {
      const [start, end] = [Math.max(0, span.start - AROUND_S - origin()), Math.min(player.duration, span.end + AROUND_S - origin())];
      player.setLoop(start < end ? [start, end] : null);
    }
  }

  function show() {
    if (!player) return;
    play.textContent = player.playing ? "Pause" : "Play";
    move();
    showTakes();
  }

  function move() {
    if (!player || !state.sound) return;
    const at = position();
    wave.moveCursor(at);
    clock.textContent = `${time(at)} / ${time(samplesOf(group) / state.sound.rate)}`;
  }

  function follow() {
    if (player?.playing) {
      move();
      const end = range[1] / state.sound.rate;
      if (range[1] < samplesOf(group) && !player.loop && position() > end - 0.1) later(() => open(group, end));
    }
    requestAnimationFrame(follow);
  }
  requestAnimationFrame(follow);

  play.addEventListener("click", () => player.toggle());
  loop.addEventListener("change", setLoop);
  match.addEventListener("change", () => player?.setMatched(match.checked));
  bindKeys({ toggle: () => player?.toggle() }, choose, {
    l: () => {
      loop.value = loop.value === "off" ? "span" : "off";
      setLoop();
      say(`Loop ${loop.selectedOptions[0].textContent}`);
    },
    k: () => chosen && keep(take(chosen).id),
  });

  // Takes, runs, history

  const keep = guarded(async (id) => {
    const { path } = await post(`takes/${id}/keep`);
    say(`Kept: ${path}`);
  });

  function newRow(one) {
    const button = make("button", { className: "choose", onclick: () => choose(state.takes.findIndex((other) => other.id === one.id) + 1) });
    const link = make("a", { href: `file/${one.id}`, download: one.name, draggable: true, textContent: "Drag or download" });
    link.addEventListener("dragstart", (event) => {
      event.dataTransfer.setData("DownloadURL", `audio/wav:${one.name}:${link.href}`);
      event.dataTransfer.setData("text/uri-list", link.href);
    });
    const replay = guarded(() => post(`takes/${one.id}/replay`));
    return make(
      "li", { className: "track" },
      make("div", { className: "row" }, button,
        make("button", { className: "keep", onclick: () => keep(one.id) }),
        make("button", { textContent: "Replay", ariaLabel: `Replay ${one.name}`, onclick: replay }), link),
      make("p", { className: "facts" }),
    );
  }

  function showTakes() {
    const original = { id: "original", name: group === "recording" ? "original" : "original, on this time line" };
    const list = state.sound ? [original, ...state.takes] : [];
    sync(find("takes"), list, (one) => (one.id === "original"
      ? make("li", { className: "track" }, make("div", { className: "row" }, make("button", { className: "choose", onclick: () => choose(0) })), make("p", { className: "facts" }))
      : newRow(one)), (row, one, i) => {
      const button = row.querySelector(".choose");
      button.replaceChildren(make("kbd", { textContent: i }), ` ${one.name}`);
      button.ariaPressed = String(i === chosen);
      row.classList.toggle("heard", i === chosen);
      row.querySelector(".facts").textContent = takeWords(one.id === "original" ? { facts: { lufs: state.sound.lufs } } : one);
      const kept = row.querySelector(".keep");
      if (!kept) return;
      [kept.textContent, kept.disabled, kept.ariaLabel] = [one.kept ? "Kept" : "Keep", Boolean(one.kept), `${one.kept ? "Kept:" : "Keep"} ${one.name}`];
    });
  }

  function showRuns() {
    const shown = state.runs.filter((run) => !["done", "cancelled"].includes(run.state) || run.notes.length);
    sync(find("runs"), shown.slice(-12), (run) => make("li", {},
      make("progress", { max: 1, ariaLabel: `Progress of ${run.verb}` }),
      make("span"), make("button", { type: "button", textContent: "Cancel", ariaLabel: `Cancel ${run.verb}`, onclick: guarded(() => post(`runs/${run.id}/cancel`)) })),
    (row, run) => {
      const [bar, text, cancel] = row.children;
      const ended = !["queued", "running"].includes(run.state);
      bar.hidden = cancel.hidden = ended;
      bar.value = run.total ? run.step / run.total : 0;
      text.textContent = runWords(run, state.model.state === "ready");
    });
  }

  const showHistory = guarded(async () => {
    const found = await (await ask("history")).json();
    sync(find("history"), found.map((one) => ({ ...one, id: one.name })), (one) => make("li", {},
      make("span", { textContent: one.name }),
      make("button", { textContent: "Load", ariaLabel: `Load ${one.name}`, onclick: guarded(async () => { await post("history", { name: one.name }); await showHistory(); }) })), () => {});
    if (!found.length) find("history").replaceChildren(make("li", { className: "soft", textContent: "None yet." }));
  });

  // The state that the server sends

  let soundKey = "";
  function update(next) {
    const nKept = state.takes.filter((one) => one.kept).length;
    state = next;
    const { state: ready, error } = state.model;
    model.textContent = { waiting: "", loading: "The model is loading …", ready: "", failed: `The model cannot be loaded: ${error?.join(": ")}` }[ready];
    if (state.problem) problem.textContent = state.problem.join(": ");
    if (!state.sound) return;
    const key = JSON.stringify([state.sound.key]);
    if (key !== soundKey) {
      soundKey = key;
      openSound();
    }
    showTakes();
    showRuns();
    if (player && members(group).some((one) => !tracks.includes(one.id))) later(addTakes);
    else if (player) player.setLevels(levels());
    if (state.takes.filter((one) => one.kept).length !== nKept) showHistory();
  }

  function openSound() {
    const { name, rate, channels, n_samples: n, folder } = state.sound;
    title.textContent = document.title = name;
    facts.textContent = `${time(n / rate)}, ${rate} Hz, ${channels} channel${channels === 1 ? "" : "s"}`;
    find("folder").textContent = folder;
    find("editor").hidden = false;
    player?.pause();
    [player, group, chosen, edges] = [null, "recording", 0, []];
    find("snap").value = "";
    wave.tiles.clear();
    while (wave.spans.length) wave.removeSpan(wave.spans[0]);
    wave.sound = null;
    wave.show({ id: "recording", rate, samples: n });
    const saved = JSON.parse(sessionStorage.getItem("form") ?? "{}");
    if (saved.name === name) {
      form.restore(saved.command, saved.values);
      for (const [start, end] of saved.spans) wave.setSpan(wave.addSpan(start, end), start, end);
    }
    form.show();
    showHistory();
    later(() => open("recording", 0));
  }

  // Files

  const send = guarded(async (file) => {
    problem.textContent = "";
    const size_mb = Math.round(file.size / 2 ** 20); // the server refuses it, too, but closes while the browser sends
    if (size_mb > 512) throw new Error(`${file.name} has ${size_mb} MB, 512 are taken at most: vamp ui FILE opens a file of any size`);
    const sending = find("sending");
    sending.hidden = false;
    try {
      await ask(`sound?name=${encodeURIComponent(file.name)}`, { method: "PUT", body: file });
    } finally {
      sending.hidden = true;
    }
  });
  find("file").addEventListener("change", () => find("file").files.length && send(find("file").files[0]));
  const dropping = (is) => document.body.classList.toggle("dropping", is);
  document.addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    dropping(true);
  });
  document.addEventListener("dragleave", () => dropping(false));
  document.addEventListener("drop", (event) => {
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    dropping(false);
    send(event.dataTransfer.files[0]);
  });

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

  globalThis.vampUi = { wave, get player() { return player; }, get state() { return state; }, get tracks() { return tracks; } };
}
