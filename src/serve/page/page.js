"use strict";
/* The server's page for people: looks at /metrics every two seconds, and asks models over the Open Inference Protocol. */

const EVERY_MS = 2000, POINTS = 90, MOST_PREFILLED = 64;
const at = (id) => document.getElementById(id);

/* An element with text or children: nothing that the server says is taken for HTML. */
function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/* --- asking --- */

let secret = sessionStorage.getItem("secret");

async function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (secret) headers.Authorization = `Bearer ${secret}`;
  const answer = await fetch(path, { ...options, headers, cache: "no-store" });
  if (answer.status === 401) wantSecret(secret ? "The server does not take this secret." : "");
  return answer;
}

function wantSecret(note) {
  at("login").hidden = false;
  at("login-note").textContent = note;
}

at("login").addEventListener("submit", (event) => {
  event.preventDefault();
  secret = at("secret").value;
  sessionStorage.setItem("secret", secret);
  at("login").hidden = true;
  look();
});

/* --- metrics --- Prometheus' text */

function parseLabels(text) {
  const labels = {};
  for (const [, name, value] of text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g))
    labels[name] = value.replace(/\\(.)/g, (all, c) => (c === "n" ? "\n" : c));
  return labels;
}

function parseMetrics(text) {
  const series = new Map();
  for (const line of text.split("\n")) {
    const found = /^([a-z_:]+)(?:\{(.*)\})? ([^ ]+)$/i.exec(line);
    if (!found) continue;
    const list = series.get(found[1]) || [];
    list.push({ labels: parseLabels(found[2] || ""), value: Number(found[3].replace("Inf", "Infinity")) });
    series.set(found[1], list);
  }
  return series;
}

const matches = (labels, wanted) => Object.entries(wanted).every(([name, value]) => labels[name] === value);

function total(metrics, name, wanted = {}, besides = () => true) {
  let sum = 0;
  for (const one of metrics.get(name) || []) if (matches(one.labels, wanted) && besides(one.labels)) sum += one.value;
  return sum;
}

/* Seconds that a share of them stays below: from the buckets of a histogram, without those that were there before. */
function quantile(metrics, before, name, wanted, share) {
  const counts = new Map();
  for (const [source, sign] of [[metrics, 1], [before, -1]])
    for (const one of (source && source.get(`${name}_bucket`)) || [])
      if (matches(one.labels, wanted)) {
        const limit = one.labels.le === "+Inf" ? Infinity : Number(one.labels.le);
        counts.set(limit, (counts.get(limit) || 0) + sign * one.value);
      }
  const limits = [...counts.keys()].sort((a, b) => a - b);
  const all = counts.get(Infinity) || 0;
  let low = 0, below = 0;
  for (const limit of limits) {
    const now = counts.get(limit);
    if (all > 0 && now >= share * all)
      return limit === Infinity ? low : low + ((limit - low) * (share * all - below)) / Math.max(now - below, 1e-9);
    low = limit;
    below = now;
  }
  return NaN;
}

/* --- numbers for people --- */

const count = (x) => Math.round(x).toLocaleString("en");
const rate = (x) => (x >= 100 ? count(x) : x >= 10 ? x.toFixed(1) : x.toFixed(2));
function time(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 1e-3) return `${(seconds * 1e6).toFixed(0)} µs`;
  return seconds < 1 ? `${(seconds * 1e3).toPrecision(3)} ms` : `${seconds.toPrecision(3)} s`;
}
function bytes(x) {
  if (!x) return "–";
  const units = ["B", "KB", "MB", "GB", "TB"];
  let k = 0;
  for (; x >= 1000 && k + 1 < units.length; k++) x /= 1000;
  return `${x.toPrecision(3)} ${units[k]}`;
}
function span(seconds) {
  const hours = Math.floor(seconds / 3600), minutes = Math.floor(seconds / 60) % 60;
  return hours > 48 ? `${Math.floor(hours / 24)} days` : hours ? `${hours} h ${minutes} min` : `${minutes} min ${Math.floor(seconds) % 60} s`;
}

/* --- looking --- */

let last = null, lastTime = 0, first = null;
const history = [];

async function look() {
  try {
    const [metrics, models] = await Promise.all([readMetrics(), readModels()]);
    show(metrics, models);
  } catch (error) {
    at("server").textContent = `The server does not answer: ${error.message}`;
  }
}

async function readMetrics() {
  const answer = await ask("/metrics");
  return answer.ok ? parseMetrics(await answer.text()) : null;
}

async function readModels() {
  const answer = await ask("/v2/repository/index", { method: "POST", body: "{}" });
  return answer.ok ? answer.json() : null;
}

const isBad = (labels) => labels.code !== "200" && labels.code !== "OK";

function show(metrics, models) {
  const now = performance.now() / 1000, since = now - lastTime;
  if (metrics) {
    showServer(metrics);
    const answered = total(metrics, "hone_requests_total", { method: "predict" });
    const failed = total(metrics, "hone_requests_total", { method: "predict" }, isBad);
    if (last) history.push([(answered - last.answered) / since, (failed - last.failed) / since]);
    if (history.length > POINTS) history.shift();
    showRates();
    showStages(metrics);
    showModels(metrics, models, since);
    first = first || metrics;
    last = { metrics, answered, failed };
    lastTime = now;
  } else {
    at("server").textContent = "Running; its metrics are not offered here.";
    showModels(new Map(), models, since);
  }
  offerModels(models, metrics);
}

function showServer(metrics) {
  const [build] = metrics.get("hone_build_info") || [{ labels: {} }];
  const up = Date.now() / 1000 - total(metrics, "process_start_time_seconds");
  at("server").textContent = `${build.labels.version || ""} on ${build.labels.cpu || "this CPU"}, up ${span(up)}, memory ` +
    `${bytes(total(metrics, "process_resident_memory_bytes"))}, ${count(total(metrics, "hone_requests_in_flight") - 1)} requests under way` + energyText(metrics);
}

/* Since the start, and for a thousand predictions; where it comes from. */
function energyText(metrics) {
  const [energy] = metrics.get("hone_energy_joules_total") || [];
  const answered = total(metrics, "hone_requests_total", { method: "predict" });
  if (!energy) return "";
  const each = answered ? `, ${((energy.value / answered) * 1000).toPrecision(3)} J for a thousand predictions` : "";
  return `; ${energy.value.toPrecision(3)} J${each} (${energy.labels.source})`;
}

function showRates() {
  const most = Math.max(1, ...history.map(([all]) => all));
  const from = POINTS - history.length; /* the newest on the right */
  const line = (k) => history.map((point, i) => `${(600 * (from + i)) / (POINTS - 1)},${115 - (105 * point[k]) / most}`).join(" ");
  const svg = at("rates"), space = "http://www.w3.org/2000/svg";
  svg.replaceChildren(...[1, 0].map((k) => {
    const node = document.createElementNS(space, "polyline");
    node.setAttribute("points", line(k));
    if (k === 1) node.setAttribute("class", "failed");
    return node;
  }));
  const [all, failed] = history.at(-1) || [0, 0];
  at("rates-note").textContent = `${rate(all)} predictions a second, ${rate(failed)} failed; most in the last three minutes ${rate(most)}`;
}

function showStages(metrics) {
  const names = [...new Set((metrics.get("hone_stage_seconds_count") || []).map((one) => one.labels.stage))];
  at("stages").replaceChildren(...names.map((stage) => {
    const n = total(metrics, "hone_stage_seconds_count", { stage });
    const cells = [0.5, 0.95, 0.99].map((share) => quantile(metrics, null, "hone_stage_seconds", { stage }, share));
    cells.push(n ? total(metrics, "hone_stage_seconds_sum", { stage }) / n : NaN);
    return make("tr", {}, make("th", { scope: "row" }, stage), ...cells.map((x) => make("td", { class: "n" }, time(x))));
  }));
}

function showModels(metrics, models, since) {
  const rows = (models || []).map((m) => modelRow(metrics, m, since));
  at("models").replaceChildren(...rows);
  at("models-note").textContent = models ? (rows.length ? "" : "No model is loaded.") :
    "The list of models is for administrators: use their port, or their secret.";
}

function modelRow(metrics, m, since) {
  const model = m.name, wanted = { model, method: "predict" };
  const answered = total(metrics, "hone_requests_total", wanted), failed = total(metrics, "hone_requests_total", wanted, isBad);
  const before = last ? total(last.metrics, "hone_requests_total", wanted) : answered;
  const runs = total(metrics, "hone_batch_rows_count", { model });
  const ready = m.state === "READY";
  const cells = [rate(last ? (answered - before) / since : 0), count(answered - failed), count(failed),
    ...[0.5, 0.95, 0.99].map((share) => time(quantile(metrics, null, "hone_request_seconds", wanted, share))),
    runs ? (total(metrics, "hone_batch_rows_sum", { model }) / runs).toFixed(1) : "–",
    count(total(metrics, "hone_queue_depth", { model })),
    bytes(total(metrics, "hone_model_bytes", { model, version: String(m.version) }))];
  return make("tr", {}, make("th", { scope: "row" }, model), make("td", {}, String(m.version || "")),
    make("td", { class: ready ? "good" : "bad" }, m.reason ? `${m.state}: ${m.reason}` : m.state),
    ...cells.map((x) => make("td", { class: "n" }, x)));
}

/* --- trying a model --- */

let offered = "", inputs = [];

function offerModels(models, metrics) {
  const known = models ? models.filter((m) => m.state === "READY").map((m) => m.name) :
    ((metrics && metrics.get("hone_model_bytes")) || []).map((one) => one.labels.model);
  const names = [...new Set(known)].sort();
  if (names.join("\n") === offered) return;
  offered = names.join("\n");
  const select = at("try-model"), chosen = select.value;
  select.replaceChildren(...names.map((name) => make("option", { value: name }, name)));
  if (names.includes(chosen)) select.value = chosen;
  chooseModel();
}

async function chooseModel() {
  const name = at("try-model").value;
  at("try-inputs").replaceChildren();
  at("try-answer").replaceChildren();
  inputs = [];
  if (!name) return;
  const answer = await ask(`/v2/models/${encodeURIComponent(name)}`);
  if (!answer.ok) {
    at("try-note").textContent = `The model's inputs are not told: ${answer.status}`;
    return;
  }
  at("try-note").textContent = "";
  inputs = (await answer.json()).inputs || [];
  at("try-inputs").replaceChildren(...inputs.map(inputField));
}

/* Free dimensions are 1. */
const shapeOf = (input) => input.shape.map((d) => (d < 0 ? 1 : d));
const sizeOf = (shape) => shape.reduce((a, b) => a * b, 1);

/* Channels, height and width of what may be a picture. */
function planeOf(input) {
  const s = shapeOf(input);
  if (s.length !== 4 || input.datatype === "BYTES") return null;
  const channels = (n) => n === 1 || n === 3 || n === 4;
  if (channels(s[1]) && s[2] > 4 && s[3] > 4) return { last: false, c: s[1], h: s[2], w: s[3] };
  if (channels(s[3]) && s[1] > 4 && s[2] > 4) return { last: true, c: s[3], h: s[1], w: s[2] };
  return null;
}

function inputField(input, i) {
  const shape = shapeOf(input), plane = planeOf(input), texts = input.datatype === "BYTES";
  const value = sizeOf(shape) <= MOST_PREFILLED ? JSON.stringify(new Array(sizeOf(shape)).fill(texts ? "" : 0)) : "";
  const field = make("fieldset", {}, make("legend", {}, `${input.name}: ${input.datatype} [${input.shape.map((d) => (d < 0 ? "any" : d)).join(", ")}]`));
  if (plane)
    field.append(make("p", {}, make("label", { for: `file-${i}` }, "Picture "),
      make("input", { id: `file-${i}`, type: "file", accept: "image/*" }), " ",
      make("label", { for: `scale-${i}` }, "pixels from 0 to "),
      make("select", { id: `scale-${i}` }, make("option", { value: "1" }, "1"), make("option", { value: "255" }, "255"))));
  field.append(make("p", {}, make("label", { for: `shape-${i}` }, "Shape "),
    make("input", { id: `shape-${i}`, value: JSON.stringify(shape), size: "20" })));
  const area = make("textarea", { id: `data-${i}`, rows: "3", spellcheck: "false" });
  area.value = value;
  field.append(make("p", {}, make("label", { for: `data-${i}` }, texts ? "Texts, as JSON" : "Numbers, as JSON, in any nesting"), area));
  return field;
}

/* Drawn in the size that the model takes. */
async function pixels(file, plane, most) {
  const image = await createImageBitmap(file);
  const canvas = make("canvas", { width: plane.w, height: plane.h }), context = canvas.getContext("2d");
  context.drawImage(image, 0, 0, plane.w, plane.h);
  const rgba = context.getImageData(0, 0, plane.w, plane.h).data, out = new Array(plane.c * plane.h * plane.w);
  for (let i = 0; i < plane.h * plane.w; i++)
    for (let c = 0; c < plane.c; c++) {
      const gray = 0.299 * rgba[4 * i] + 0.587 * rgba[4 * i + 1] + 0.114 * rgba[4 * i + 2];
      const value = plane.c === 1 ? gray : rgba[4 * i + c];
      out[plane.last ? i * plane.c + c : c * plane.h * plane.w + i] = (value / 255) * most;
    }
  return out;
}

async function readInput(input, i) {
  const file = at(`file-${i}`) && at(`file-${i}`).files[0];
  const shape = JSON.parse(at(`shape-${i}`).value);
  if (file) {
    const data = await pixels(file, planeOf(input), Number(at(`scale-${i}`).value));
    return { name: input.name, datatype: input.datatype, shape, data: input.datatype.startsWith("FP") ? data : data.map(Math.round) };
  }
  const text = at(`data-${i}`).value.trim();
  if (!text) throw new Error(`${input.name} has no numbers yet`);
  const data = JSON.parse(text);
  return { name: input.name, datatype: input.datatype, shape, data: Array.isArray(data) ? data.flat(Infinity) : [data] };
}

at("try-model").addEventListener("change", chooseModel);
at("try").addEventListener("submit", async (event) => {
  event.preventDefault();
  const note = at("try-note"), name = at("try-model").value;
  try {
    note.textContent = "asking …";
    const body = JSON.stringify({ inputs: await Promise.all(inputs.map(readInput)) });
    const began = performance.now();
    const answer = await ask(`/v2/models/${encodeURIComponent(name)}/infer`, { method: "POST", body, headers: { "Content-Type": "application/json" } });
    const took = (performance.now() - began) / 1000, said = await answer.json();
    note.textContent = answer.ok ? `answered in ${time(took)}, with the way there and back` : `${answer.status}: ${said.error || ""}`;
    at("try-answer").replaceChildren(...(answer.ok ? said.outputs.map(showOutput) : []));
  } catch (error) {
    note.textContent = error.message;
  }
});

/* A few numbers are bars, the largest first; else what there is. */
function showOutput(output) {
  const title = make("h3", {}, `${output.name}: ${output.datatype} [${output.shape.join(", ")}]`);
  const values = output.data;
  if (typeof values[0] !== "number" || output.shape[0] !== 1 || values.length < 2 || values.length > 1000)
    return make("section", {}, title, make("pre", {}, JSON.stringify(values.slice(0, 1000))));
  const low = Math.min(0, ...values), high = Math.max(...values, low + 1e-9);
  const order = values.map((value, index) => ({ value, index })).sort((a, b) => b.value - a.value).slice(0, 10);
  const rows = order.map(({ value, index }) => make("tr", {}, make("th", { scope: "row" }, String(index)),
    make("td", { class: "n" }, value.toPrecision(5)),
    make("td", {}, make("meter", { min: String(low), max: String(high), value: String(value), "aria-label": `number ${index}` }))));
  return make("section", {}, title, make("table", {}, make("tbody", {}, ...rows)));
}

look();
setInterval(() => { if (!document.hidden) look(); }, EVERY_MS);
