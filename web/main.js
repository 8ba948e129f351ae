// SPDX-License-Identifier: MIT
// The page: what is pressed and typed becomes commands at the program's console, its answers become pictures.
import * as answers from "./answers.js";
import { Board } from "./board.js";
import { Console, WorkerTransport } from "./console.js";
import { averaged, bars, drawCurve, headPicture, movingAverage } from "./pictures.js";

const SAMPLES_ON_THE_WAY = 5;
const MOST_POINTS = 2000; // of the curve
const MOST_LINES = 100; // of a board's run: a line takes as long as several steps
const MOST_PAUSES = 30; // of a run, to look at some names

const at = (id) => document.getElementById(id);
const files = await load();
let text = { image: files.dataset, name: "the names" };
let program = null; // its Console
let version = ""; // of the browser's program
let chip = null; // another, in the chip's memory, that says what would fit

const changed = new Set(); // settings that somebody has chosen

const run = {
  active: false,
  stopping: false,
  step: 0,
  steps: 1000,
  seconds: 0,
  vocabulary: 27,
  points: [],
  complete: false,
};

async function load() {
  const get = async (name) => {
    const response = await fetch(name);
    if (!response.ok) {
      throw new Error(`${name}: ${response.status} ${response.statusText}`);
    }
    return response;
  };
  try {
    const [module, dataset, chip] = await Promise.all([
      get("microgpt.wasm").then(async (response) => WebAssembly.compile(await response.arrayBuffer())),
      get("dataset.bin").then((response) => response.arrayBuffer()),
      get("chip.json").then((response) => response.json()),
    ]);
    return { module, dataset, chip };
  } catch (error) {
    at("status").textContent = "";
    show(at("failure"), `The page could not be loaded whole: ${error.message}. Reload it.`);
    throw error;
  }
}

function show(element, text) {
  element.textContent = text;
  element.hidden = text === "";
}

const sentence = (error) => (error === "" ? "" : `${error[0].toUpperCase()}${error.slice(1)}.`);
const stepsOf = (count) => (count === 1 ? "1 step" : `${count.toLocaleString("en")} steps`);

/** One call at a time, and of those that come meanwhile the last alone. */
function latest(action) {
  let running = false;
  let again = false;
  return async function call() {
    if (running) {
      again = true;
      return;
    }
    running = true;
    do {
      again = false;
      await action();
    } while (again);
    running = false;
  };
}

// Text and program

// Begins with the browser's program on the text in use.
async function open() {
  await Promise.all([program?.close(), openChip()]);
  await use(new Console(new WorkerTransport(files.module, text.image, null)));
  version = at("version").textContent;
}

async function openChip() {
  await chip?.close();
  chip = new Console(new WorkerTransport(files.module, text.image, files.chip.banks));
}

// From now on the page speaks to this program, and shows what it is at.
async function use(console) {
  program = console;
  Object.assign(run, { active: false, stopping: false, points: [], step: 0, seconds: 0, complete: false });
  at("invented").replaceChildren();
  at("checksum").textContent = at("time").textContent = at("rate").textContent = "–";
  at("completions").textContent = at("taught").textContent = "";
  at("where").textContent = board.connected ? "Runs on: the board" : "Runs in: this browser";
  const begun = await program.opened;
  show(at("failure"), begun.error);
  show(at("status"), begun.error ? "" : "Ready. Press Train.");
  await showSettings();
  const info = (await program.ask("info")).lines;
  at("version").textContent = info[0] ?? "";
  run.vocabulary = answers.vocabulary(info);
  takeState(answers.state(info));
  redraw();
  buttons();
  await Promise.all([next(), look(), plan()]);
}

// What a board has trained already.
function takeState(state) {
  if (state?.step > 0 && !state.outdated) {
    Object.assign(run, { step: state.step, steps: state.steps, complete: state.step === state.steps });
    at("checksum").textContent = run.complete ? state.checksum : "–";
    at("status").textContent = run.complete ? "It has trained already." : "Stopped on its way. Press Go on.";
  }
}

// Why the chip has no room for its model on a packed text, or "".
async function chipAccepts(image) {
  const other = new Console(new WorkerTransport(files.module, image, files.chip.banks));
  await other.opened;
  const { error } = await other.ask("train 1");
  await other.close();
  return error;
}

function packed(text) {
  return new Promise((fulfil) => {
    const worker = new Worker(new URL("./packer.js", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }) => {
      worker.terminate();
      fulfil(data);
    };
    worker.postMessage(text);
  });
}

async function useText(given, name) {
  show(at("text-failure"), "");
  at("text-status").textContent = "Reading…";
  const found = await packed(given);
  at("text-status").textContent = "";
  if (found.error) {
    show(at("text-failure"), found.error);
    return;
  }
  const then = board.connected ? "Write it to the board." : "Press Train.";
  at("text-status").textContent =
    `${name}: ${found.documents.toLocaleString("en")} lines, ${found.characters} different characters. ${then}`;
  await take({ image: found.image, name });
}

// A board keeps its own until another is written to it.
async function take(other) {
  text = other;
  if (board.connected) {
    await openChip();
    await plan();
  } else {
    await open();
  }
}

// Training

function settings() {
  const words = [...at("settings").elements].map(({ name, value }) => `${name}=${value.replace(/\s+/g, "")}`);
  return `set ${words.join(" ")}`;
}

// The program's own settings, until somebody has chosen others.
async function showSettings() {
  for (const [name, value] of answers.settings((await program.ask("set")).lines)) {
    const field = at(name);
    if (field && (board.connected || !changed.has(name))) {
      field.value = value;
    }
  }
  await temperature();
}

function takeLine(line) {
  const step = answers.step(line);
  const checksum = answers.checksum(line);
  if (step) {
    run.points.push({ step: step.step, loss: step.loss });
    Object.assign(run, { step: step.step, steps: step.steps });
    redraw();
  }
  if (checksum) {
    run.complete = true;
    at("checksum").textContent = checksum;
  }
}

function buttons() {
  at("train").disabled = program === null || program.ended !== "" || run.stopping;
  at("train").textContent = run.active ? "Stop" : run.step > 0 && !run.complete ? "Go on" : "Train";
  at("again").hidden = run.active || run.step === 0 || run.complete;
}

let drawn = false;
function redraw() {
  if (!drawn) {
    drawn = true;
    requestAnimationFrame(() => {
      drawn = false;
      const { points, step, steps, seconds, vocabulary } = run;
      const losses = points.map(({ loss }) => loss);
      drawCurve(at("curve"), points, steps, vocabulary);
      at("step").textContent = step > 0 ? `${step.toLocaleString("en")} of ${steps.toLocaleString("en")}` : "–";
      at("mean").textContent = losses.length > 0 ? movingAverage(losses, averaged(losses.length)).at(-1).toFixed(3) : "–";
      if (seconds > 0) {
        at("time").textContent = `${seconds.toFixed(2)} s`;
        at("rate").textContent = Math.round(step / seconds).toLocaleString("en");
      }
    });
  }
}

function invented(after, names) {
  const [item, when, what] = ["li", "span", "span"].map((tag) => document.createElement(tag));
  when.className = "note";
  when.textContent = after;
  what.textContent = names.join(", ");
  item.append(when, what);
  at("invented").append(item);
  at("invented").scrollTop = at("invented").scrollHeight;
}

async function beginRun() {
  const steps = Number(at("steps").value);
  const most = board.connected ? MOST_LINES : MOST_POINTS;
  const answer = await program.ask(`${settings()} samples=20 log_every=${Math.max(1, Math.ceil(steps / most)) || 1}`);
  if (answer.error) {
    show(at("failure"), sentence(answer.error));
    return false;
  }
  Object.assign(run, { points: [], step: 0, steps, seconds: 0, complete: false });
  at("invented").replaceChildren();
  at("checksum").textContent = "–";
  return true;
}

// Trains to the end, or until it is stopped; between, some names show what it knows.
async function train(anew) {
  const asked = program;
  show(at("failure"), "");
  Object.assign(run, { active: true, stopping: false });
  buttons();
  if (!anew || (await beginRun())) {
    at("status").textContent = "Training…";
    const stride = Math.max(100, Math.ceil(run.steps / MOST_PAUSES));
    while (asked === program && !run.complete && !run.stopping && (await stretch(stride))) {
      redraw();
    }
  }
  if (asked === program) {
    Object.assign(run, { active: false, stopping: false });
    at("status").textContent = run.complete
      ? `Done: ${stepsOf(run.steps)} in ${run.seconds.toFixed(2)} seconds.`
      : run.step > 0 ? "Stopped." : "";
    redraw();
    buttons();
    if (run.complete && board.connected) {
      await board.compare();
    }
    await Promise.all([next(), look()]);
  }
}

async function stretch(steps) {
  const begun = performance.now();
  const before = run.step;
  const asked = program;
  const answer = await asked.ask(`train ${steps - (before % steps)}`, takeLine, Infinity);
  if (asked.ended || asked !== program) {
    return false; // whoever has ended it says so
  }
  run.seconds += (performance.now() - begun) / 1000;
  const paused = /^# stopped at step (\d+) of/.exec(answer.lines.at(-1) ?? "");
  run.step = paused ? Number(paused[1]) : run.step;
  if (answer.error) {
    show(at("failure"), sentence(answer.error));
    run.step = 0; // there is no model to go on with
    return false;
  }
  const diverged = answer.lines.find((line) => line.startsWith("# training diverged"));
  show(at("failure"), diverged ? sentence(diverged.slice(2)) : "");
  if (run.complete) {
    invented("at the end", answer.lines.map(answers.sample).filter((name) => name !== null));
  } else if (!run.stopping) {
    const names = await program.ask(`names ${SAMPLES_ON_THE_WAY}`);
    invented(`after ${stepsOf(run.step)}`, names.lines);
  }
  return true;
}

// Playing

// Quotes keep spaces and numbers in a text.
const quoted = (id) => `"${at(id).value}"`;

function answered(element, answer, content) {
  element.replaceChildren();
  if (answer.error) {
    const said = document.createElement("p");
    said.className = "error";
    said.textContent = sentence(answer.error);
    element.append(said);
  } else {
    element.append(...content());
  }
}

const next = latest(async () => {
  const answer = await program.ask(`next ${quoted("prompt")}`);
  answered(at("next"), answer, () => {
    const rows = answers.bars(answer.lines);
    return [bars(rows, rows[0]?.value ?? 1, (share) => `${(100 * share).toFixed(1)} %`)];
  });
});

const temperature = latest(async () => {
  at("temperature-value").textContent = at("temperature").value;
  await program.ask(`temperature ${at("temperature").value}`);
});

async function complete() {
  const answer = at("prompt").value === "" ? await program.ask("names 10") : await program.ask(`complete ${quoted("prompt")} 10`);
  at("completions").textContent = answer.error ? sentence(answer.error) : answer.lines.join(", ");
}

const look = latest(async () => {
  const loss = await program.ask(`loss ${quoted("look")}`);
  answered(at("loss"), loss, () => {
    const total = answers.mean(loss.lines);
    if (total === null) {
      return []; // it was disturbed on its way
    }
    const said = document.createElement("p");
    said.textContent = `On average ${total.mean.toFixed(2)}; pure guessing has ${total.guessing.toFixed(2)}.`;
    return [bars(answers.bars(loss.lines), 2 * total.guessing, (nats) => nats.toFixed(2)), said];
  });
  const attention = await program.ask(`attention ${quoted("look")}`);
  answered(at("attention"), attention, () => answers.attention(attention.lines).map(headPicture));
});

async function teach() {
  const answer = await program.ask(`teach ${quoted("teach")} ${at("times").value || 10}`);
  const [before, after] = ["before", "after"].map(
    (when) => answer.lines.map((line) => new RegExp(`^loss ${when}: +(.+)$`).exec(line)?.[1]).find(Boolean) ?? "?",
  );
  at("taught").textContent = answer.error
    ? sentence(answer.error)
    : `Its surprise at “${at("teach").value}” was ${before} and is now ${after}.`;
  await Promise.all([next(), look()]);
}

// The chip

const plan = latest(async () => {
  const answer = await chip.ask(settings());
  at("memory").hidden = true;
  if (answer.error) {
    at("fit").textContent = `No: ${answer.error.replace(/^nothing was changed: /, "").replace(/; nothing was changed$/, "")}.`;
    return;
  }
  await chip.ask("train 1"); // the model takes its place in memory
  const info = (await chip.ask("info")).lines;
  const memory = answers.memory(info);
  if (memory === null) {
    at("fit").textContent = "";
    return;
  }
  at("fit").textContent =
    `Yes: it takes ${memory.taken.toLocaleString("en")} of the ${memory.room.toLocaleString("en")} bytes that the chip leaves a model. ` +
    `Training takes it ${answers.trainingTime(info)}.`;
  const rows = memory.purposes.map(({ bytes, purpose }) => {
    const row = document.createElement("tr");
    row.append(...[purpose, bytes.toLocaleString("en")].map((text) => Object.assign(document.createElement("td"), { textContent: text })));
    return row;
  });
  at("memory").tBodies[0].replaceChildren(...rows);
  at("memory").hidden = false;
});

function wire() {
  const submitted = (id, action) =>
    at(id).addEventListener("submit", (event) => {
      event.preventDefault();
      action();
    });
  at("train").addEventListener("click", () => {
    if (run.active) {
      run.stopping = true;
      program.stop();
      buttons();
    } else {
      train(run.step === 0 || run.complete);
    }
  });
  at("again").addEventListener("click", () => train(true));
  at("temperature").addEventListener("input", temperature);
  at("prompt").addEventListener("input", next);
  submitted("prompt-form", complete);
  submitted("look-form", look);
  submitted("teach-form", teach);
  submitted("settings", plan);
  at("settings").addEventListener("input", plan);
  document.addEventListener("input", ({ target }) => changed.add(target.id));
  at("file").addEventListener("change", () => at("file").files[0] && useText(at("file").files[0], at("file").files[0].name));
  at("use").addEventListener("click", () => useText(at("paste").value, "Your text"));
  at("names").addEventListener("click", () => {
    at("text-status").textContent = "";
    show(at("text-failure"), "");
    take({ image: files.dataset, name: "the names" });
  });
  for (const type of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(type, (event) => {
      event.preventDefault();
      at("drop").classList.toggle("over", type === "dragover");
    });
  }
  document.addEventListener("drop", ({ dataTransfer }) => {
    const file = dataTransfer.files[0];
    useText(file ?? dataTransfer.getData("text"), file?.name ?? "What you dropped");
  });
  new ResizeObserver(redraw).observe(at("curve"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    redraw();
    look();
  });
}

const board = new Board({
  files,
  chipAccepts,
  text: () => text,
  version: () => version,
  use: async (console) => {
    if (console === null) {
      await open();
    } else {
      await (program !== console && program.close());
      await use(console);
    }
  },
});
wire();
await open();
