// The page: what is shown of a round, and what clicks and keys do. `mount` needs a function that takes a message and promises
// the answer, as backprop/play/answers.py and site/engine.js give it; all numbers are the engine's.

import { arrayOf, asJson, digits, firstWeights } from "./numbers.js";
import { Round } from "./round.js";
import { explanation, told, verdict } from "./words.js";
import { drawNetwork, markPlace, moveByKey } from "./network.js";
import { drawCurve, drawImage, drawPlane, mapGrid, mapsOf, nearest, planeOf, regionGrid } from "./plane.js";
import { build, fill, showTerms } from "./controls.js";
import { Loop, Runs, samplesOf } from "./training.js";
import { mountExercises } from "./exercises.js";
import { BatchView, SurfaceView } from "./views.js";
import { changesOf, hashOf, settingsOf } from "./settings.js";

const PATIENCE = 5000; // milliseconds until it is said that an answer is waited for

// options: start, settings as settings.js reads them, to begin with, and fallback, where these are refused; permalink, whether the address follows what is shown.
export function mount(root, ask, { start = "", fallback = "", permalink = false } = {}) {
  root.classList.add("bp-root");
  // A notebook's own keys, such as b for a new cell, rest while the focus is here; those with Ctrl work.
  root.addEventListener("keydown", (event) => {
    if (!event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
  });
  const page = build(root), runs = new Runs();
  // `chosen` is what was clicked or went to by keys, `pointed` what the pointer is over: shown for as long.
  // `pure`: whether the weights follow from the settings and the epochs, as a link has them.
  let pure = true, chosen = null, pointed = null, seed = 0, ready = false, drawnFor = 0, plane = null, regions = null, maps = null, seen = "", pictured = -1;

  async function send(message) {
    let answer;
    const waits = setTimeout(() => { page.error.textContent = "No answer yet: the engine is busy, or it no longer runs."; }, PATIENCE);
    try {
      answer = await ask(message);
    } catch (error) {
      throw new Error(`The engine does not answer: ${error.message}. Is the kernel, or the command, still running?`);
    } finally {
      clearTimeout(waits);
    }
    if (answer.error) throw new Error(answer.error);
    return answer;
  }

  send.arrayOf = arrayOf;
  const round = new Round(send);

  // One thing after the other; what is refused is said, and the fields show again what holds.
  let busy = Promise.resolve();
  function act(work) {
    busy = busy.then(async () => {
      try {
        await work();
        page.error.textContent = "";
        return true;
      } catch (error) {
        page.error.textContent = error.message;
        return false;
      } finally {
        if (round.trace) await refresh();
      }
    });
    return busy;
  }

  // Another state of the engine; the round begins anew, as far as it had come where `keep` says so.
  async function change(message, keep = false) {
    const begun = message.do === "restart" || message.do === "set", moved = message.do === "step" || round.state.undo > 0;
    round.take((await send(message)).state);
    if (begun) pure = true;
    else if (["step", "rate", "batch", "data"].includes(message.do) && moved) pure = false;
    const { done, index, set, state } = round, most = set === "test" ? state.data.tests : state.data.samples;
    await round.begin(index < most ? index : 0, most ? set : "train");
    if (keep) round.done = Math.min(done, 2 * round.layers);
  }

  // Pictures of the plane follow the parameters, not every step.
  async function refresh() {
    const { state } = round, data = JSON.stringify([state.data, state.layers]);
    try {
      if (data !== seen) {
        const { points } = await send({ do: "points" });
        for (const part of [points.train, points.test]) for (const key of ["x", "y"]) part[key] = arrayOf(part[key]);
        [plane, regions, maps, seen, pictured] = [planeOf(points), null, null, data, -1];
        if (!round.trace || chosen === null || !fits(chosen)) chosen = { layer: state.layers.length - 1, j: 0, k: 0 };
      }
      if (plane && pictured !== state.version) {
        regions = arrayOf((await send({ do: "outputs", x: regionGrid(plane) })).outputs);
        maps = page.maps.checked
          ? mapsOf(page, state.layers, (await send({ do: "activations", x: mapGrid(plane) })).activations.map(arrayOf)) : null;
        pictured = state.version;
      }
    } catch (error) {
      page.error.textContent = error.message;
    }
    runs.note(state);
    ready = true;
    draw();
  }

  const fits = ({ layer, j, k }) => {
    const shape = round.state.layers[layer];
    return shape && j < shape.outputs && (k === null ? shape.bias : k < shape.inputs);
  };

  function choose(layer, j, k) {
    chosen = { layer, j, k };
    pointed = null;
    show();
  }

  function point(place) {
    const [layer, j, k] = place ?? [];
    pointed = place && { layer, j, k };
    show();
  }

  function show() {
    markPlace(page.net, pointed ?? chosen, chosen);
    fillPlace();
    showTerms(page, explanation(round, pointed ?? chosen), loop.going, digits);
    page.verdict.textContent = verdict(round);
    surface.follow();
    ofBatch.draw();
  }

  function draw() {
    drawSteps();
    drawFields();
    drawnFor = page.net.clientWidth || -1;
    if (drawnFor > 0) drawNet();
    else redraw(); // a notebook has taken the cell out of the page, perhaps for a moment only
    show();
    drawPictures();
    if (round.after) pure = false;
    if (permalink) page.link.href = hashOf(round, chosen, seed);
    page.link.textContent = pure ? "A link to this state" : "A link to this network, without single steps and changes on the way";
  }

  function drawNet() {
    const focused = page.net.contains(document.activeElement) ? document.activeElement.dataset?.key : null;
    drawNetwork(page.net, round, { maps });
    for (const element of page.net.querySelectorAll("[data-key]")) {
      const place = JSON.parse(element.dataset.key);
      element.addEventListener("pointerenter", () => point(place));
      element.addEventListener("pointerdown", () => choose(...place));
      element.addEventListener("focus", () => choose(...place));
    }
    const band = page.net.querySelector(".bp-band"), over = page.net.scrollWidth - page.net.clientWidth;
    if (band && over > 0) page.net.scrollLeft = Number(band.getAttribute("x")) + 25 - page.net.clientWidth / 2;
    markPlace(page.net, pointed ?? chosen, chosen); // where the focus can go
    if (focused) page.net.querySelector(`[data-key='${focused}']`)?.focus({ preventScroll: true });
  }

  function drawSteps() {
    const { coming, updates, layers } = round, over = !updates && round.done === 2 * layers;
    page.next.textContent = over || round.done === round.steps ? "Next: a new round" : `Next: ${coming.phase}, layer ${round.name(coming.layer)}`;
    for (const phase of ["forward", "backward", "update"]) page[phase].setAttribute("aria-disabled", String(over || phase !== coming.phase));
    page.back.setAttribute("aria-disabled", String(!round.canGoBack));
    const { phase, html, text } = told(round);
    page.told.dataset.phase = phase ?? "";
    if (page.words.textContent !== text) page.words.textContent = text;
    page.rule.innerHTML = html;
  }

  const put = (input, value) => {
    if (document.activeElement !== input || input.dataset.changed) input.value = value;
    delete input.dataset.changed;
  };

  function drawFields() {
    const { state, index, set } = round, { data, optimizer, layers, train, test } = state, count = set === "test" ? data.tests : data.samples;
    fill(page.data, data.names, data.name);
    page.dataLabel.hidden = data.names.length < 2;
    put(page.sample, index);
    page.sample.max = count - 1;
    page.count.textContent = `of ${count}`;
    page.setLabel.hidden = !data.tests;
    page.set.value = set;
    page.rateLabel.hidden = optimizer.lr === null;
    put(page.rate, optimizer.lr ?? "");
    put(page.batch, state.batch);
    put(page.hidden, layers.slice(0, -1).map((layer) => layer.outputs).join("-"));
    page.yours.hidden = state.builds;
    page.builder.hidden = page.csvLabel.hidden = !state.builds;
    if (!page.network.open) {
      page.activation.value = layers.length > 1 ? layers[0].activation : "tanh";
      Object.assign(page.output, { value: layers.at(-1).activation });
      page.loss.value = state.loss;
      page.optimizer.value = optimizer.rule === "sgd" && !optimizer.plain ? "momentum" : optimizer.rule;
      page.seed.value = seed;
    }
    const part = (name, figures, all) => (figures
      ? ` · ${name} C <b>${digits(figures.loss)}</b> · accuracy <b>${digits(figures.accuracy)}</b>${figures.samples < all ? ` (first ${figures.samples})` : ""}` : "");
    page.figures.innerHTML = `epochs <b>${state.epochs}</b>${part("training", train, data.samples)}${part("test", test, data.tests)}`;
    page.linkLine.hidden = !permalink || !state.builds;
    page.mapsLabel.hidden = !plane;
  }

  function drawPictures() {
    page.planeFigure.hidden = !plane;
    if (plane && regions) drawPlane(page, plane, regions, round, round.state.data.classes);
    page.imageFigure.hidden = Boolean(plane) || !drawImage(page.image, round.trace.x);
    page.imageText.textContent = verdict(round) || "the sample as a picture";
    drawCurve(page.curve, runs.all);
  }

  function fillPlace() {
    const { layer, j, k } = pointed ?? chosen, names = round.state.layers.map((_, l) => round.name(l)), shape = round.state.layers[layer];
    fill(page.layer, names, names[layer]);
    put(page.j, j + 1);
    if (k !== null) put(page.k, k + 1);
    Object.assign(page.j, { max: shape.outputs });
    Object.assign(page.k, { max: shape.inputs, disabled: k === null });
    page.bias.checked = k === null;
    page.bias.disabled = !shape.bias;
  }

  function chooseByHand() {
    const layer = page.layer.selectedIndex, shape = round.state.layers[layer], bias = page.bias.checked && shape.bias;
    const within = (input, size) => Math.min(Math.max(Math.round(Number(input.value)) || 1, 1), size) - 1;
    for (const input of [page.j, page.k]) input.dataset.changed = "yes";
    choose(layer, within(page.j, shape.outputs), bias ? null : within(page.k, shape.inputs));
  }

  const loop = new Loop(
    () => root.isConnected && act(() => change({ do: "train", epochs: 1 }, true)),
    () => Number(page.speed.value),
    (going) => {
      page.keep.classList.toggle("bp-on", going);
      page.keep.textContent = going ? "Stop" : "Keep training";
    },
  );

  // A network of the fields, or of settings; its weights are drawn here, so that every engine has the same.
  async function make(settings) {
    const { epochs = 0, done = 0, weight, sample, seed: first = 0, ...asked } = settings;
    [seed, chosen, pure] = [first, null, true];
    runs.forget();
    round.take((await send({ do: "build", ...asked })).state);
    const { state } = await send({ do: "set", parameters: firstWeights(round.state.layers, seed) });
    round.take(state);
    if (epochs) round.take((await send({ do: "train", epochs })).state);
    await round.begin(Math.min(sample ?? 0, state.data.samples - 1), "train");
    for (let i = 0; i < Math.min(done, round.steps); i++) await round.next();
    chosen = weight && fits(weight) ? weight : { layer: round.last, j: 0, k: 0 };
  }

  const whenEnabled = (name, work) => page[name].addEventListener("click", () => {
    if (page[name].getAttribute("aria-disabled") !== "true") act(work);
  });
  for (const name of ["next", "forward", "backward", "update"]) whenEnabled(name, () => round.next());
  whenEnabled("back", () => round.back());
  const on = (name, event, work) => page[name].addEventListener(event, () => {
    if (page[name].type === "number" && page[name].value === "") return; // something is about to be typed
    page[name].dataset.changed = "yes";
    act(work);
  });
  on("restart", "click", () => change({ do: "restart" }));
  on("train", "click", () => change({ do: "train", epochs: Number(page.epochs.value) }, true));
  page.keep.addEventListener("click", () => loop.toggle());
  on("data", "change", () => {
    runs.forget();
    return change({ do: "data", name: page.data.value });
  });
  const go = (index, set = round.set) => round.begin(index, set);
  on("sample", "change", () => go(Number(page.sample.value)));
  on("set", "change", () => go(0, page.set.value));
  const other = (by) => () => {
    const count = round.set === "test" ? round.state.data.tests : round.state.data.samples;
    return go((round.index + by + count) % count);
  };
  on("before", "click", other(-1));
  on("after", "click", other(1));
  on("rate", "change", () => change({ do: "rate", lr: Number(page.rate.value) }, true));
  on("batch", "change", () => change({ do: "batch", size: Number(page.batch.value) }, true));
  on("maps", "change", () => { pictured = -1; });
  on("build", "click", () => make(changesOf(page, round.state)));
  on("weights", "click", () => {
    seed += 1;
    runs.forget();
    return change({ do: "set", parameters: firstWeights(round.state.layers, seed) });
  });
  const takeFile = (file) => act(async () => {
    const { x, y, inputs, classes } = samplesOf(await file.text()), several = classes.length > 2;
    await send({ do: "own", name: file.name, x, y, inputs, classes, labels: true });
    await make({
      ...changesOf(page, round.state), data: file.name, seed, sizes: [inputs, 8, several ? classes.length : 1],
      output: several ? "softmax" : "sigmoid", loss: several ? "cross_entropy" : page.loss.value,
    });
  });
  page.csv.addEventListener("change", () => page.csv.files.length && takeFile(page.csv.files[0]));
  root.addEventListener("dragover", (event) => event.preventDefault());
  root.addEventListener("drop", (event) => {
    event.preventDefault();
    const [file] = event.dataTransfer.files;
    if (file && round.state?.builds) takeFile(file);
  });
  for (const input of [page.layer, page.j, page.k, page.bias]) input.addEventListener("change", chooseByHand);
  page.net.addEventListener("keydown", (event) => moveByKey(page.net, event));
  page.net.addEventListener("pointerleave", () => pointed && point(null));
  page.plane.addEventListener("click", (event) => {
    const { set, index } = nearest(plane, page.plane, event);
    act(() => go(index, set));
  });

  const ofBatch = new BatchView(page.batchView, round, act, send, () => chosen, (message) => change(message));
  const surface = new SurfaceView(page.surfaceView, page, round, act, send, () => chosen);
  mountExercises(page.exercise, round, act, send, () => chosen);

  // Drawn again for another width or other colours, once both are what they will be.
  const redraw = () => requestAnimationFrame(() => ready && page.net.clientWidth > 0 && draw());
  const drawnWell = () => Math.abs(page.net.clientWidth - drawnFor) <= 1 || redraw();
  const watches = [new ResizeObserver(drawnWell), new IntersectionObserver(drawnWell)]; // a notebook takes cells out of the page and back
  for (const watch of watches) watch.observe(page.net);
  window.addEventListener("resize", redraw);
  const dark = matchMedia("(prefers-color-scheme: dark)"), recolour = () => {
    pictured = -1;
    act(async () => {});
  };
  dark.addEventListener("change", recolour);
  const theme = new MutationObserver(recolour); // JupyterLab and VS Code say there whether they are dark
  theme.observe(document.body, { attributeFilter: ["class", "data-jp-theme-light"] });

  // Another tab, or the kernel, may have trained meanwhile.
  async function look() {
    round.take((await send({ do: "state" })).state);
    if (!round.stale) return;
    const { done } = round;
    await change({ do: "state" });
    round.done = Math.min(done, 2 * round.layers);
  }
  const looked = () => !document.hidden && !loop.going && round.trace && act(look);
  window.addEventListener("focus", looked);
  document.addEventListener("visibilitychange", looked);

  act(async () => {
    const asked = settingsOf(start || (permalink ? location.hash.slice(1) : ""));
    round.take((await send({ do: "state" })).state);
    const asIs = async () => {
      await round.begin(round.state.first ?? 0);
      chosen = { layer: round.last, j: 0, k: 0 };
    };
    if (!asked || !round.state.builds) return asIs();
    try {
      await make(asked);
    } catch (error) { // what was asked for makes no sense: something else, and why
      await (fallback ? make(settingsOf(fallback)) : asIs());
      throw error;
    }
  });
  return {
    look: () => round.trace && act(look),
    stop() {
      loop.stop();
      for (const watch of watches) watch.disconnect();
      window.removeEventListener("resize", redraw);
      theme.disconnect();
      dark.removeEventListener("change", recolour);
      window.removeEventListener("focus", looked);
      document.removeEventListener("visibilitychange", looked);
    },
  };
}

// A notebook: anywidget calls render for each place where the widget is shown.
function render({ model, el }) {
  const pending = new Map(), mine = Math.random().toString(36).slice(2);
  let count = 0, view = null;
  const receive = ({ id, answer }) => {
    if (pending.has(id)) {
      pending.get(id)(answer);
      pending.delete(id);
    } else if (answer.state) view?.look(); // another view of the same widget changed something
  };
  const ask = (message) => new Promise((resolve) => {
    const id = `${mine}-${++count}`;
    pending.set(id, resolve);
    model.send({ id, message: JSON.parse(asJson(message)) });
  });
  model.on("msg:custom", receive);
  const root = document.createElement("div");
  el.append(root);
  view = mount(root, ask);
  return () => {
    view.stop();
    model.off("msg:custom", receive);
  };
}

export default { render };

// python -m backprop play: the page's own element, answered by the server it came from.
for (const root of document.querySelectorAll("[data-backprop-play]")) {
  const ask = async (message) => {
    const reply = await fetch("message", { method: "POST", headers: { "Content-Type": "application/json" }, body: asJson(message) });
    if (!reply.ok) throw new Error(`${reply.status} ${reply.statusText}`);
    return reply.json();
  };
  mount(root, ask, { permalink: true });
}
