// What is said of a round: its latest step, and the terms of one weight, as HTML and as text. Depends on numbers.js.

import { digits, escaped, factor, html, nodesOf, plain, short, TIMES } from "./numbers.js";

const h = html, MOST_ENTRIES = [8, 3, 2, 1]; // of a chain, level by level, the largest first; deeper ones are left out
const two = short; // in as many digits as the nodes
const twoFactor = (value) => (value < 0 ? `(${two(value)})` : two(value));

// The step just taken: {phase, layer, html, text}.
export function told(round) {
  const latest = round.latest;
  if (latest === null) {
    const text = round.updates ? "Nothing is computed yet for this sample." : "A test sample: it is looked at, never trained on.";
    return { phase: null, layer: null, html: "", text };
  }
  const { phase, layer } = latest, here = round.name(layer);
  return { phase, layer, ...{ forward, backward, update }[phase](round, layer, here, round.name(layer - 1)) };
}

function forward(round, layer, here, before) {
  const { bias, activation } = round.state.layers[layer];
  const [w, a, z] = [h.symbol("w", "jk", here), h.symbol("a", "j", here), h.symbol("z", "j", here)];
  let rule = `${z} = ${h.sum("k")}${w} ${h.symbol("a", "k", before)}${bias ? ` + ${h.symbol("b", "j", here)}` : ""}, ` +
    `&ensp;${a} = <i>g</i>(${z}), &ensp;<i>g</i> = ${escaped(activation)}`;
  if (layer === round.last) rule += `; &ensp;${h.loss()} = ${digits(round.trace.loss)}`;
  return { html: rule, text: `Forward through layer ${here}: its weighted sums z and activation outputs a are there.` };
}

function backward(round, layer, here, before) {
  const [w, a, z] = [h.symbol("w", "jk", here), h.symbol("a", "j", here), h.symbol("z", "j", here)];
  const dC_da = h.partial(h.loss(), a), dC_dz = h.partial(h.loss(), z), a_i = h.symbol("a", "i", here);
  let rule = round.softmax(layer)
    ? `${dC_dz} = ${h.sum("i")}${h.partial(h.loss(), a_i)}${TIMES}${h.partial(a_i, z)}`
    : `${dC_dz} = ${dC_da}${TIMES}<i>g</i>′(${z})`;
  if (layer === round.last) rule += `, &ensp;${dC_da} from the loss, ${escaped(round.state.loss)}`;
  else {
    const after = round.name(layer + 1);
    rule += `, &ensp;${dC_da} = ${h.sum("i")}${h.partial(h.loss(), h.symbol("z", "i", after))}${TIMES}${h.symbol("w", "ij", after)}`;
  }
  rule += `, &ensp;${h.partial(h.loss(), w)} = ${dC_dz}${TIMES}${h.symbol("a", "k", before)}`;
  return { html: rule, text: `Backward through layer ${here}: its δ are there, and the derivatives of its weights.` };
}

function update(round, layer, here) {
  const w = h.symbol("w", "jk", here), dC_dw = h.partial(h.loss(), w), { optimizer } = round.state;
  const rule = optimizer.plain
    ? `${w} ← ${w} − ${digits(optimizer.lr)}${TIMES}${dC_dw}`
    : `${w} moved by ${escaped(optimizer.text)}, against ${dC_dw}`;
  const loss = round.after.loss;
  if (loss === null) return { html: rule, text: `Layer ${here} is updated.` };
  const was = digits(round.trace.loss), is = digits(loss);
  return {
    html: `${rule}; &ensp;${h.loss()} was <b>${was}</b>, is <b>${is}</b>`,
    text: `Layer ${here} is updated. C₀ was ${was}, is ${is}.`,
  };
}

// The symbols of a weight, in one notation or the other.
function names(round, { layer, j, k }, n) {
  const here = round.name(layer), z = n.symbol("z", nodesOf(j), here), a = n.symbol("a", nodesOf(j), here);
  const weight = k === null ? n.symbol("b", nodesOf(j), here) : n.symbol("w", nodesOf(j, k), here);
  return {
    weight, gradient: n.partial(n.loss(), weight), dC_da: n.partial(n.loss(), a), da_dz: n.partial(a, z),
    dz_dw: n.partial(z, weight), dC_dz: n.partial(n.loss(), z), a, z,
    before: k === null ? "1" : n.symbol("a", nodesOf(k), round.name(layer - 1)),
  };
}

// ∂C_0/∂a of a node with its numbers put in, such as 2(0.43 − 1.00).
function lossSlope(round, layer, j) {
  if (layer < round.last) return entries(round, layer, j, 2).map(({ text }) => text).join(" + ") || "0";
  const a = round.a(layer)[j], y = round.trace.y[j], outputs = round.state.layers[layer].outputs;
  const from = `${two(a)} − ${twoFactor(y)}`;
  return {
    squared_error: `2(${from})`,
    mean_squared_error: `2(${from})/${outputs}`,
    binary_cross_entropy: `(1 − ${two(y)})/(1 − ${two(a)}) − ${two(y)}/${two(a)}`,
    cross_entropy: `−${two(y)}/${two(a)}`,
    huber: Math.abs(a - y) <= 1 ? from : `sign(${from})`,
  }[round.state.loss] ?? `from the loss, ${escaped(round.state.loss)}`;
}

// ∂a/∂z of a node with its numbers put in, such as 0.43(1 − 0.43).
function slope(round, layer, j) {
  const { activation } = round.state.layers[layer], { a, z } = round.trace.layers[layer], g = two(a[j]);
  const step = (below) => (z[j] > 0 ? `1, as ${two(z[j])} > 0` : `${below}, as ${two(z[j])} ≤ 0`);
  return {
    sigmoid: `${g}(1 − ${twoFactor(a[j])})`, tanh: `1 − ${twoFactor(a[j])}²`, identity: "1", relu: step("0"),
    leaky_relu: step("0.01"),
  }[activation] ?? `<i>g</i>′(${two(z[j])}), <i>g</i> = ${escaped(activation)}`;
}

// The summands of a hidden node's ∂C_0/∂a, the largest first: ∂C_0/∂z_i · w_ij, the first factor taken apart but for softmax.
function entries(round, layer, j, most) {
  const next = layer + 1, { dC_da, da_dz, dC_dz } = round.trace.layers[next], taken = !round.softmax(next);
  const all = Array.from(dC_dz, (delta, i) => {
    const w = round.was(next, i, j), factors = taken ? [dC_da[i], da_dz[i], w] : [delta, w];
    return { i, product: delta * w, full: factors.map((each) => factor(each)).join(TIMES), text: `${twoFactor(delta)}${TIMES}${twoFactor(w)}` };
  });
  all.sort((one, other) => Math.abs(other.product) - Math.abs(one.product) || one.i - other.i);
  const shown = all.slice(0, most), rest = all.slice(most);
  if (rest.length) {
    const sum = rest.reduce((total, each) => total + each.product, 0);
    shown.push({ i: null, product: sum, text: twoFactor(sum), count: rest.length });
  }
  return shown;
}

// A node's ∂C_0/∂a, to be opened into its entries, and theirs in turn.
function chain(round, layer, j, depth) {
  if (layer === round.last || depth >= MOST_ENTRIES.length) return "";
  const next = layer + 1, after = round.name(next), a = h.symbol("a", nodesOf(j), round.name(layer));
  const [a_i, z_i, w] = [h.symbol("a", "i", after), h.symbol("z", "i", after), h.symbol("w", nodesOf("i", j), after)];
  const terms = round.softmax(next) ? [h.partial(h.loss(), z_i), w] : [h.partial(h.loss(), a_i), h.partial(a_i, z_i), w];
  const items = entries(round, layer, j, MOST_ENTRIES[depth]).map((entry) => (entry.i === null
    ? `<li>${entry.count} more, smaller: together ${digits(entry.product)}</li>`
    : `<li>node ${entry.i + 1} of layer ${after}: ${entry.full} = ${digits(entry.product)}${chain(round, next, entry.i, depth + 1)}</li>`));
  const summary = `${h.partial(h.loss(), a)} = ${h.sum("i")}${terms.join(TIMES)} = ${digits(round.trace.layers[layer].dC_da[j])}`;
  return `<details><summary>${summary}</summary><ul>${items.join("")}</ul></details>`;
}

// The terms of one weight or bias, those that the round has reached; the others have number null.
export function explanation(round, place) {
  const { layer, j, k } = place, s = names(round, place, h), words = names(round, place, plain), t = round.terms(layer, j, k);
  const known = { dC_da: round.has("backward", layer), da_dz: round.has("forward", layer), dz_dw: k === null || round.hasA(layer - 1) };
  known.dC_dz = known.product = known.dC_da;
  const put = (name) => ({ dC_da: lossSlope, dC_dz: softmaxSum, da_dz: slope }[name]?.(round, layer, j) ?? `${s.before}`);
  const meanings = {
    dC_da: `how ${h.loss()} depends on ${s.a}`, da_dz: `<i>g</i>′(${s.z})`, dC_dz: "softmax: over all outputs i",
    dz_dw: k === null ? "how strongly the bias comes in" : `how strongly ${s.before} comes in`,
  };
  const factors = round.softmax(layer) ? ["dC_dz", "dz_dw"] : ["dC_da", "da_dz", "dz_dw"];
  const now = round.now(layer, j, k), was = round.was(layer, j, k);
  const spoken = [...factors, "product"].map((name) => {
    const word = name === "product" ? `the product, ${words.gradient},` : words[name];
    return known[name] ? `${word} = ${digits(t[name])}` : `${word} comes later`;
  });
  return {
    place, weight: s.weight, value: now, moved: now === was ? null : { was, by: now - was },
    terms: factors.map((name) => ({ name, html: s[name], number: known[name] ? t[name] : null, meaning: known[name] ? put(name) : meanings[name] })),
    product: { html: s.gradient, number: known.product ? t.product : null },
    factors: known.product ? factors.map((name) => factor(t[name])).join(TIMES) : null,
    whole: known.product ? chain(round, layer, j, 0) : "",
    spoken: `${words.weight} = ${digits(now)}: ${spoken.join("; ")}`,
  };
}

// Softmax's Σ_i ∂C_0/∂a_i · ∂a_i/∂z_j, its largest summands put in.
function softmaxSum(round, layer, j) {
  const { dC_da, da_dz } = round.trace.layers[layer], n = dC_da.length;
  const all = Array.from(dC_da, (each, i) => ({ i, first: each, second: da_dz[i * n + j], product: each * da_dz[i * n + j] }));
  const shown = all.filter(({ product }) => product !== 0).sort((one, other) => Math.abs(other.product) - Math.abs(one.product)).slice(0, 3);
  return shown.map(({ first, second }) => `${twoFactor(first)}${TIMES}${twoFactor(second)}`).join(" + ") || "0";
}

// The class that an output stands for, where targets are labels; "" elsewhere.
export function className(round, j) {
  const { classes } = round.state.data;
  if (round.state.layers.at(-1).outputs === 1 || (!classes && round.trace.label === null)) return "";
  return String(classes?.[j] ?? j);
}

// The label of a node for readers of the screen.
export function nodeLabel(round, layer, j) {
  const last = layer === round.last, name = last ? className(round, j) : "";
  let label = plain.symbol("a", nodesOf(j), round.name(layer));
  if (name) label = `${name}: ${label}`;
  if (round.hasA(layer)) label += ` = ${digits(round.a(layer)[j])}`;
  if (layer >= 0 && round.has("backward", layer)) label += `, δ = ${digits(round.trace.layers[layer].dC_dz[j])}`;
  if (!last) return label;
  label += `, target ${digits(round.trace.y[j])}`;
  if (!round.has("backward", layer)) return label;
  const nudge = -round.trace.layers[layer].dC_da[j];
  return `${label}, should ${nudge > 0 ? "rise" : nudge < 0 ? "fall" : "stay"}, −∂C₀/∂a = ${digits(nudge)}`;
}

export function edgeLabel(round, layer, j, k) {
  return `${plain.symbol("w", nodesOf(j, k), round.name(layer))} = ${digits(round.now(layer, j, k))}`;
}

// "label 5, predicted 5", where outputs stand for classes.
export function verdict(round) {
  const { trace, state } = round, outputs = state.layers.at(-1).outputs, classes = state.data.classes;
  if (state.train.accuracy === null || Number.isNaN(state.train.accuracy)) return "";
  const of = (a) => (outputs === 1 ? Number(a[0] >= 0.5) : a.indexOf(Math.max(...a)));
  const name = (i) => classes?.[i] ?? String(i), wanted = trace.label ?? of(trace.y);
  return `label ${name(wanted)}${round.has("forward", round.last) ? `, predicted ${name(of(round.a(round.last)))}` : ""}`;
}
