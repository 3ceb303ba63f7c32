// Numbers as they travel and as they are written, and the symbols of the lesson. Depends on nothing.

// An array from an engine: typed already, or {f8: base64} or {f4: base64} where it came as JSON.
export function arrayOf(sent) {
  if (ArrayBuffer.isView(sent)) return sent;
  const [kind] = Object.keys(sent), bytes = Uint8Array.from(atob(sent[kind]), (letter) => letter.charCodeAt(0));
  return Float64Array.from(new (kind === "f4" ? Float32Array : Float64Array)(bytes.buffer));
}

// The same the other way, for engines that are sent JSON.
export function encoded(array) {
  const kind = array instanceof Float32Array ? "f4" : "f8", bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  let text = "";
  for (let i = 0; i < bytes.length; i += 4096) text += String.fromCharCode(...bytes.subarray(i, i + 4096));
  return { [kind]: btoa(text) };
}

// A message whose arrays are encoded.
export const asJson = (message) => JSON.stringify(message, (_, value) => (ArrayBuffer.isView(value) ? encoded(value) : value));

// A number in four significant digits, as Python's :.4g writes it, with a minus that is one.
export function digits(value, n = 4) {
  if (value === null || value === undefined || Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "−inf";
  if (value === 0) return "0";
  const [head, power] = value.toExponential(n - 1).split("e"), exponent = Number(power);
  const trimmed = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
  const text = exponent < -4 || exponent >= n
    ? `${trimmed(head)}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`
    : trimmed(value.toFixed(Math.max(n - 1 - exponent, 0)));
  return text.replaceAll("-", "−");
}

// As a factor: negative ones in brackets.
export const factor = (value, n) => (digits(value, n).startsWith("−") ? `(${digits(value, n)})` : digits(value, n));

// A number that fits into a node.
export function short(value) {
  const size = Math.abs(value);
  let text = String(value);
  if (value === 0 || (size >= 0.01 && size < 100)) text = value.toFixed(size < 10 ? 2 : 1);
  else if (Number.isFinite(value)) text = value.toExponential(0).replace("+", "");
  return text.replaceAll("-", "−");
}

// The size of a number as a share of the largest one; 1 for what is not finite.
export const share = (value, largest) => (!Number.isFinite(value) ? 1 : largest ? Math.abs(value) / largest : 0);

export const largestOf = (values) => values.reduce((most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most), 0);

// The nodes of a layer that are drawn: all, or the first and the last ones.
export function shownNodes(count, most) {
  if (count <= most) return [...Array(count).keys()];
  const last = Math.floor(most / 2), first = most - last;
  return [...Array(first).keys(), ...Array.from({ length: last }, (_, i) => count - last + i)];
}

// L for the last of so many layers of weights, L-1 for the one before; layer -1 are the inputs.
export const layerName = (layer, layers) => (layer === layers - 1 ? "L" : `L-${layers - 1 - layer}`);

// Node numbers, from 0, or letters, as the lesson writes them, from 1: 12, or 1,12 where that could be misread.
export function nodesOf(...nodes) {
  const names = nodes.map((node) => (typeof node === "number" ? String(node + 1) : node));
  return names.join(names.every((name) => name.length === 1) ? "" : ",");
}

const LOW = { ...Object.fromEntries([..."0123456789"].map((digit) => [digit, String.fromCodePoint(0x2080 + Number(digit))])), ",": "‚", i: "ᵢ", j: "ⱼ", k: "ₖ" };

// Symbols as text, for labels and for readers of the screen.
export const plain = {
  symbol: (letter, sub, layer) => letter + [...sub].map((each) => LOW[each] ?? each).join("") + (layer ? `^(${layer})` : ""),
  partial: (above, below) => `∂${above}/∂${below}`,
  loss: () => "C₀",
};

// Symbols as HTML, derivatives as fractions.
export const html = {
  symbol: (letter, sub, layer) => `<i>${letter}</i><sub>${sub}</sub>${layer ? `<sup>(${layer.replace("-", "−")})</sup>` : ""}`,
  partial: (above, below) => `<span class="bp-fraction"><span>∂${above}</span><span>∂${below}</span></span>`,
  loss: () => "<i>C</i><sub>0</sub>",
  sum: (index) => `Σ<sub>${index}</sub> `,
};

export const TIMES = " · ";

export const escaped = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");

// Numbers that follow from a seed, uniform in [0, 1): Mulberry32. Enough to draw first weights with.
export function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = Math.imul(state ^ (state >>> 15), state | 1);
    z = (z + Math.imul(z ^ (z >>> 7), z | 61)) ^ z;
    return ((z ^ (z >>> 14)) >>> 0) / 4294967296;
  };
}

// First weights of a network in storage order: He's before relu and its family, Glorot's before the others, normal; biases 0.
export function firstWeights(layers, seed) {
  const random = generator(seed), parts = [];
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  for (const { inputs, outputs, bias, activation } of layers) {
    const he = ["relu", "leaky_relu", "elu", "gelu", "silu"].includes(activation);
    const width = Math.sqrt(he ? 2 / inputs : 2 / (inputs + outputs));
    parts.push(...Array.from({ length: inputs * outputs }, () => width * normal()), ...Array(bias ? outputs : 0).fill(0));
  }
  return Float64Array.from(parts);
}
