// The page's own modules in Node.js, told by test_javascript.py what to do: a line of JSON asks, a line of JSON answers.
// While a round goes on, a line {"ask": message} is the page's question to its engine, and the next line the answer.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const folder = pathToFileURL(process.argv[2] + "/"), load = (name) => import(new URL(name, folder).href);
const [numbers, { Round }, { settingsOf }, { samplesOf }, words, { questionOf }] = await Promise.all(
  ["numbers.mjs", "round.mjs", "settings.mjs", "training.mjs", "words.mjs", "exercises.mjs"].map(load));

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const read = async () => JSON.parse((await lines.next()).value);
const say = (told) => process.stdout.write(`${JSON.stringify(told)}\n`);

async function send(message) {
  say({ ask: JSON.parse(numbers.asJson(message)) });
  const answer = await read();
  if (answer.error) throw new Error(answer.error);
  return answer;
}
send.arrayOf = numbers.arrayOf;

// All numbers that the page would show of a round: every weight's terms before the update, and what the update made of it.
async function round({ index }) {
  const here = new Round(send), seen = {};
  here.take((await send({ do: "state" })).state);
  await here.begin(index);
  for (let step = 0; step < 2 * here.layers; step++) await here.next();
  const each = (work) => here.state.layers.forEach(({ inputs, outputs, bias }, layer) => {
    for (let j = 0; j < outputs; j++) for (const k of [...Array(inputs).keys(), ...(bias ? [null] : [])]) work(layer, j, k);
  });
  each((layer, j, k) => { seen[`${layer},${j},${k}`] = { ...here.terms(layer, j, k), was: here.now(layer, j, k) }; });
  while (here.done < here.steps) await here.next();
  each((layer, j, k) => { seen[`${layer},${j},${k}`].now = here.now(layer, j, k); });
  const loss = [here.trace.loss, here.after.loss], verdict = words.verdict(here);
  while (here.done) await here.back();
  return { seen, loss, verdict };
}

async function question({ kind, index, place, updated }) {
  const here = new Round(send);
  here.take((await send({ do: "state" })).state);
  await here.begin(index);
  for (let step = 0; step < (updated ? 3 : 2) * here.layers; step++) await here.next();
  const [layer, j, k] = place, { right, why, text } = await questionOf(kind, here, send, { layer, j, k });
  return { right, why, text };
}

const does = {
  digits: ({ values }) => values.map((bits) => numbers.digits(numbers.arrayOf(bits)[0])),
  arrays: ({ values }) => numbers.encoded(numbers.arrayOf(values)),
  samples: ({ text }) => samplesOf(text),
  link: ({ text }) => settingsOf(text),
  weights: ({ layers, seed }) => [...numbers.firstWeights(layers, seed)],
  round,
  question,
};

for (let asked = await read(); asked.do !== "end"; asked = await read()) {
  try {
    say({ answer: await does[asked.do](asked) });
  } catch (error) {
    say({ error: error.message });
  }
}
process.exit(0);
