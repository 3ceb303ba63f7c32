// Training on the page: epochs at a chosen speed, and the runs whose loss curves are drawn. Depends on numbers.js.

import { digits } from "./numbers.js";

const KEPT = 3; // runs that are drawn, the latest included
const MOST_POINTS = 600; // of a curve

export class Runs {
  constructor() { this.all = [{ label: "", points: [] }]; }

  get latest() { return this.all.at(-1); }

  // What the engine says now; epochs that went back begin another run, beside those before.
  note(state) {
    const { epochs, train, test, optimizer } = state, points = this.latest.points;
    if (points.length && epochs < points.at(-1).epoch) {
      const same = points.findIndex((point) => point.epoch === epochs);
      if (epochs === 0 && points.length > 1) this.all = [...this.all, { label: "", points: [] }].slice(-KEPT);
      else points.splice(same < 0 ? 0 : same);
    }
    this.latest.label = optimizer.lr === null ? optimizer.text : `rate ${digits(optimizer.lr)}`;
    const kept = this.latest.points;
    if (!kept.length || kept.at(-1).epoch < epochs) kept.push({ epoch: epochs, train: train.loss, test: test?.loss ?? null });
    if (kept.length > MOST_POINTS) this.latest.points = kept.filter((_, i) => i % 2 === 0 || i === kept.length - 1);
  }

  forget() { this.all = [{ label: "", points: [] }]; }
}

// Calls `epoch` again and again, at most so many times a second (0: as fast as it goes), until stopped or it says false.
export class Loop {
  constructor(epoch, perSecond, changed) { Object.assign(this, { epoch, perSecond, changed, going: false }); }

  async toggle() {
    this.going = !this.going;
    this.changed(this.going);
    while (this.going) {
      const begun = performance.now();
      if (!(await this.epoch())) break;
      const rest = this.perSecond() ? 1000 / this.perSecond() - (performance.now() - begun) : 0;
      await new Promise((resolve) => setTimeout(resolve, Math.max(rest, 4)));
    }
    if (this.going) this.stop();
  }

  stop() {
    if (!this.going) return;
    this.going = false;
    this.changed(false);
  }
}

// Samples of a CSV: numbers, the last column the class. {x, y, inputs, classes}; an Error says what is wrong with which line.
export function samplesOf(text) {
  const lines = text.replace(/^\ufeff/, "").split(/\r?\n/).map((line) => line.trim()).filter((line) => line && !line.startsWith("#"));
  if (lines.length === 0) throw new Error("the file has no lines");
  const mark = ["\t", ";", ","].find((each) => lines[0].includes(each)) ?? ",";
  const rows = lines.map((line) => line.split(mark).map((cell) => cell.trim().replace(/^"(.*)"$/, "$1")));
  const numeric = (row) => row.slice(0, -1).every((cell) => cell !== "" && Number.isFinite(Number(cell)));
  const body = numeric(rows[0]) ? rows : rows.slice(1), inputs = rows[0].length - 1;
  if (inputs < 1) throw new Error("a line needs inputs and, last, a class");
  body.forEach((row, i) => {
    if (row.length !== inputs + 1) throw new Error(`line ${i + 1 + rows.length - body.length} has ${row.length} columns, the first ${inputs + 1}`);
    if (!numeric(row)) throw new Error(`line ${i + 1 + rows.length - body.length} has inputs that are no numbers: ${row.join(mark)}`);
  });
  const classes = [...new Set(body.map((row) => row.at(-1)))].sort((one, other) => one.localeCompare(other, "en", { numeric: true }));
  if (classes.length < 2 || classes.length > 20) throw new Error(`the last column must hold 2 to 20 classes, and has ${classes.length}`);
  const columns = Array.from({ length: inputs }, (_, k) => body.map((row) => Number(row[k])));
  const scaled = columns.map((column) => {
    const mean = column.reduce((sum, value) => sum + value, 0) / column.length;
    const deviation = Math.sqrt(column.reduce((sum, value) => sum + (value - mean) ** 2, 0) / column.length) || 1;
    return column.map((value) => (value - mean) / deviation);
  });
  const x = Float64Array.from(body.flatMap((_, n) => scaled.map((column) => column[n])));
  return { x, y: Float64Array.from(body, (row) => classes.indexOf(row.at(-1))), inputs, classes };
}
