// Trains each network in the WebAssembly as bits_of_baseline.py did in Python, in Node.js or in a browser.
import { Engine, load } from "./engine.mjs";

const hex = (numbers) => Array.from(new Uint8Array(numbers.buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
const bytesOf = (text) => Uint8Array.from(text.match(/../g), (byte) => parseInt(byte, 16));

export async function bits({ networks, cases, batch, epochs }, module) {
  const wasm = await load(module), out = [];
  for (const [i, [sizes, hidden, output, loss, dtype, [rule, lr, momentum]]] of networks.entries()) {
    const { first, seed, x, y } = cases[i], kind = dtype === "float32" ? Float32Array : Float64Array;
    const engine = new Engine(wasm, { moons: { x, y, labels: true, classes: null, inputs: 2 } });
    const told = async (message) => {
      const answer = await engine.answer(message);
      if (answer.error) throw new Error(answer.error);
      return answer;
    };
    const optimizer = { rule, lr, momentum };
    await told({ do: "build", sizes, hidden, output, loss, dtype, batch, data: "moons", optimizer, seed });
    await told({ do: "set", parameters: new kind(bytesOf(first).buffer) });
    const { state } = await told({ do: "train", epochs });
    const { trace } = await told({ do: "trace", index: 3 });
    out.push({ last: hex(kind.from(state.parameters)), C: state.train.loss, delta: [...trace.layers[0].dC_dz] });
  }
  return out;
}
