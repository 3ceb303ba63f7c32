// Exercises: predict, then reveal; the engine says what is right. Their words are in exercises.json, which backprop.lesson
// reads too. Depends on numbers.js and round.js.
/* global EXERCISES */

import { digits, layerName, nodesOf, plain } from "./numbers.js";

const NEAR = 0.02; // how far a number may be from the right one, relative to it

// The question of one kind for a weight: {title, text, lines, choices, right, why}.
export async function questionOf(kind, round, send, { layer, j, k: chosen }) {
  const k = chosen ?? 0, words = EXERCISES[kind], { last } = round;
  // two kinds are about the output layer
  const place = ["way", "wrong"].includes(kind) && layer !== last ? [last, 0, 0] : [layer, j, k];
  const made = await { way, gradient, largest, bias, wrong }[kind](round, send, ...place);
  const said = (text) => text.replace(/\{(\w+)\}/g, (_, name) => made.said[name]);
  return { title: words.title, text: said(words.ask), lines: made.lines ?? [], choices: words.choices, right: made.right, why: said(words.why) };
}

export function isRight(question, given) {
  if (typeof question.right === "string") return given === question.right;
  const near = question.choices || Number.isInteger(question.right) ? 0 : NEAR * Math.abs(question.right);
  return given !== "" && Math.abs(Number(given.replace("−", "-")) - question.right) <= near;
}

function symbols(round, layer, j, k) {
  const here = round.name(layer), below = layerName(layer - 1, round.layers), n = plain;
  const a = n.symbol("a", nodesOf(j), here), z = n.symbol("z", nodesOf(j), here), weight = n.symbol("w", nodesOf(j, k), here);
  return {
    a, weight, layer: here, j: String(j + 1), before: n.symbol("a", nodesOf(k), below), dC_da: n.partial("C₀", a),
    da_dz: n.partial(a, z), dz_dw: n.partial(z, weight), dC_dz: n.partial("C₀", z), gradient: n.partial("C₀", weight),
  };
}

const shown = (numbers) => Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, digits(value)]));

async function way(round, send, layer, j) {
  if (!round.updates) throw new Error("a test sample is never stepped for; pick a training sample");
  const { index } = round, now = await layerOf(send, index, layer), [before, nudge] = [now.a[j], -now.dC_da[j]];
  await send({ do: "step", first: index });
  const after = (await layerOf(send, index, layer)).a[j];
  round.take((await send({ do: "undo" })).state);
  round.mine = round.state.version;
  const said = { ...symbols(round, layer, j, 0), ...shown({ value: before, target: round.trace.y[j], nudge, after }), way: nudge > 0 ? "rise" : "fall" };
  return { said, right: after > before ? "rise" : "fall" };
}

// A layer of the sample as it is now, which an update may have moved since the round began.
async function layerOf(send, index, layer, set = "train") {
  const { trace } = await send({ do: "trace", index, set });
  return Object.fromEntries(["a", "dC_da", "dC_dz"].map((term) => [term, send.arrayOf(trace.layers[layer][term])]));
}

function terms(round, layer, j, k) {
  if (round.softmax(layer)) throw new Error("before softmax there is no ∂a/∂z of one node; choose a weight of another layer");
  return round.terms(layer, j, k);
}

async function gradient(round, send, layer, j, k) {
  const { dC_da, da_dz, dz_dw, product } = terms(round, layer, j, k);
  return { said: { ...symbols(round, layer, j, k), ...shown({ first: dC_da, second: da_dz, third: dz_dw, product }) }, right: product };
}

async function largest(round, send, layer, j) {
  const before = round.a(layer - 1), sizes = Array.from(before, Math.abs), best = sizes.indexOf(Math.max(...sizes));
  const a = plain.symbol("a", nodesOf(best), layerName(layer - 1, round.layers));
  return { said: { ...symbols(round, layer, j, best), ...shown({ value: before[best] }), k: String(best + 1), a }, right: best + 1 };
}

async function bias(round, send, layer, j) {
  if (!round.state.layers[layer].bias) throw new Error("this layer has no biases");
  const value = round.valueIn(round.state.parameters, layer, j, null), at = [round.places[layer].biases + j];
  const asked = { do: "losses", set: round.set, index: round.index, at, values: Float64Array.from([value, 0]) };
  const [before, after] = send.arrayOf((await send(asked)).losses);
  if (value === 0) throw new Error("this bias is 0, so nothing would change; train first, or choose another node");
  const here = round.name(layer), b = plain.symbol("b", nodesOf(j), here), slope = (await layerOf(send, round.index, layer, round.set)).dC_dz[j];
  return { said: { ...shown({ value, before, after, guess: -value * slope }), b, gradient: plain.partial("C₀", b) }, right: after > before ? "rise" : "fall" };
}

async function wrong(round, send, layer, j, k) {
  const s = symbols(round, layer, j, k), { dC_da, da_dz, dz_dw, product } = terms(round, layer, j, k), right = [dC_da, da_dz, dz_dw, product];
  const able = right.map((_, i) => i).filter((i) => right[i] !== 0);
  if (!able.length) throw new Error("all terms are 0 here; choose another weight");
  const line = able[(3 * j + k) % able.length], told = [...right];
  told[line] *= line === 2 ? -2 : 2;
  if (line < 3) told[3] = told[0] * told[1] * told[2]; // what follows from a wrong line goes on with it
  const lines = [s.dC_da, s.da_dz, s.dz_dw, s.gradient].map((name, i) => `${i + 1}. ${name} = ${digits(told[i])}`);
  const said = { ...s, ...shown({ a_value: round.a(layer)[j], before_value: dz_dw, target: round.trace.y[j], right: right[line], shown: told[line] }), line: String(line + 1), loss: round.state.loss, g: round.state.layers[layer].activation };
  return { said, lines, right: line + 1 };
}

// The part of the page that asks. act: does one thing after the other; place: the weight that is looked at.
export function mountExercises(holder, round, act, send, place) {
  const element = (tag, attributes = {}, ...inside) => {
    const made = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...inside);
    return made;
  };
  const kinds = element("select", {}, ...Object.entries(EXERCISES).map(([kind, { title }]) => new Option(title, kind)));
  const asks = element("button", { type: "button" }, "Ask me"), text = element("p", { class: "bp-question" }), lines = element("ol", { class: "bp-lines" });
  const said = element("p", { role: "status", class: "bp-answered" }), answers = element("div", { class: "bp-bar" });
  holder.replaceChildren(
    element("div", { class: "bp-bar" }, element("label", {}, element("span", {}, "exercise"), kinds), asks), text, lines, answers, said);
  const say = (words) => {
    said.textContent = words;
    said.scrollIntoView({ block: "nearest" }); // on a phone it is below the screen
  };
  const tell = (question, given) => {
    const fits = isRight(question, given);
    say(fits ? `Right. ${question.why}` : "Not yet. Think again, or see the answer.");
    holder.dataset.right = String(fits);
  };
  asks.addEventListener("click", () => act(async () => {
    const question = await questionOf(kinds.value, round, send, place());
    text.textContent = question.text;
    lines.replaceChildren(...question.lines.map((line) => element("li", {}, line.replace(/^\d\. /, ""))));
    said.textContent = "";
    delete holder.dataset.right;
    const button = (name, work) => {
      const made = element("button", { type: "button" }, name);
      made.addEventListener("click", work);
      return made;
    };
    const shows = button("Show the answer", () => {
      say(`${typeof question.right === "number" ? digits(question.right) : question.right}. ${question.why}`);
    });
    if (question.choices) {
      answers.replaceChildren(...question.choices.map((choice) => button(choice, () => tell(question, choice))), shows);
      return;
    }
    const field = element("input", { type: "text", inputmode: "text", "aria-label": "your answer", class: "bp-answer" });
    field.addEventListener("keydown", (event) => event.key === "Enter" && tell(question, field.value));
    answers.replaceChildren(field, button("Check", () => tell(question, field.value)), shows);
  }));
}
