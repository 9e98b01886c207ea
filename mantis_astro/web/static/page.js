"use strict";
// The page of `mantis-astro serve`. All that comes from outside is set as text, never as HTML.

const API = "/api/v1";
const $ = (id) => document.getElementById(id);
const state = { job: null, poll: 0, model: null, cards: {}, galaxy: null, whole: false, start: 0, rows: 0, row: 0 };
const PAGE = 50;
const PRESETS = {
  "SDSS": ["sdss_u0", "sdss_g0", "sdss_r0", "sdss_i0", "sdss_z0"],
  "Pan-STARRS": ["ps1.g", "ps1.r", "ps1.i", "ps1.z", "ps1.y"],
  "DECam": ["decam_g", "decam_r", "decam_i", "decam_z"],
  "Legacy Survey": ["legacysurvey.g", "legacysurvey.r", "legacysurvey.z", "unwise.W1", "unwise.W2"],
  "HSC": ["hsc_g", "hsc_r", "hsc_i", "hsc_z", "hsc_y"],
  "LSST": ["lsst_baseline_u", "lsst_baseline_g", "lsst_baseline_r", "lsst_baseline_i", "lsst_baseline_z", "lsst_baseline_y"],
  "GALEX, Pan-STARRS, unWISE": ["galex.FUV", "galex.NUV", "ps1.g", "ps1.r", "ps1.i", "ps1.z", "ps1.y", "unwise.W1", "unwise.W2"],
};
const EXAMPLE = { preset: "SDSS", mags: [[20.31, 0.08], [18.79, 0.02], [17.87, 0.02], [17.45, 0.02], [17.16, 0.03]] };

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && name !== "list") element[name] = value; else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function draw(tag, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

// Asking -----------------------------------------------------------------------------

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("the server does not answer: is 'mantis-astro serve' still running?");
  }
  if (answer.status === 204) return null;
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.error || `the server answered ${answer.status}`);
  return body;
}

function post(path, body) {
  return ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

function complain(error, field) {
  say("");
  $("problem").textContent = error.message;
  $("problem").hidden = false;
  if (field) {
    field.setAttribute("aria-invalid", "true");
    field.focus();
  } else $("problem").focus();
}

function calm() {
  $("problem").hidden = true;
  for (const field of document.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
}

function say(text) {
  if ($("status").textContent !== text) $("status").textContent = text;
}

class FieldError extends Error {
  constructor(message, field) { super(message); this.field = field; }
}

function number(field, what) {
  const text = field.value.trim().replace("−", "-").replace(",", ".");
  if (!text) return null;
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) throw new FieldError(`${what} must be a number, got “${field.value}”`, field);
  return Number(text);
}

function onSubmit(form, request) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    calm();
    try {
      await forget();
      say("sends the request");
      watch(await request());
    } catch (error) {
      complain(error, error.field);
    }
  });
}

onSubmit($("panel-position"), () => {
  const target = $("target").value.trim();
  if (!target) throw new FieldError("give a name or coordinates", $("target"));
  return post(`${API}/position`, { target, model: $("position-model").value, ebv: number($("position-ebv"), "E(B−V)") });
});

onSubmit($("panel-fluxes"), () => {
  const quantity = $("quantity").value, photometry = {};
  for (const line of $("measurements").children) {
    const [band, value, error] = line.querySelectorAll("input");
    const measured = number(value, `the value of ${band.value}`);
    if (measured === null) continue;
    if (!band.value.trim()) throw new FieldError("which band is this?", band);
    const uncertainty = number(error, `the error of ${band.value}`);
    photometry[band.value.trim()] = quantity === "mag" ? { mag: measured, mag_err: uncertainty } : { flux: measured, flux_err: uncertainty };
  }
  if (!Object.keys(photometry).length) throw new FieldError("give at least one measurement", $("measurements").querySelector("input"));
  const galaxy = { id: $("fluxes-id").value.trim(), photometry, ebv: number($("fluxes-ebv"), "E(B−V)") };
  return post(`${API}/fluxes`, { model: $("fluxes-model").value, galaxies: [galaxy] });
});

onSubmit($("panel-table"), () => {
  const file = $("file").files[0];
  if (!file) throw new FieldError("choose a file", $("file"));
  const most = state.limits.upload_bytes;
  if (file.size > most) throw new FieldError(`the file has ${(file.size / 1e6).toFixed(1)} MB, and the limit is ${most / 1e6} MB`, $("file"));
  const query = new URLSearchParams({ filename: file.name });
  for (const name of ["survey", "unit"]) if ($(name).value) query.set(name, $(name).value);
  if ($("table-model").value) query.set("model", $("table-model").value);
  return ask(`${API}/table?${query}`, { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: file });
});

// A job --------------------------------------------------------------------------------

function watch(job) {
  clearTimeout(state.poll);
  state.job = job.id;
  history.replaceState(null, "", `#${job.id}`);
  follow(job, 150);
}

async function follow(job, wait) {
  const busy = job.state === "waiting" || job.state === "running";
  $("running").hidden = !busy;
  if (busy) {
    const share = job.total ? `: ${job.done} of ${job.total}` : "";
    say(`${job.title}: ${job.message}${share}`);
    const bar = $("progress");
    if (job.total) { bar.max = job.total; bar.value = job.done; } else bar.removeAttribute("value");
    state.poll = setTimeout(async () => {
      try {
        const next = await ask(`${API}/jobs/${job.id}`);
        if (state.job === job.id) follow(next, Math.min(wait * 1.5, 1500));
      } catch (error) { $("running").hidden = true; complain(error); }
    }, wait);
    return;
  }
  if (job.state !== "done") {
    history.replaceState(null, "", location.pathname);
    complain(new Error(job.message));
    return;
  }
  say(`${job.title}: done`);
  try { await show(job); } catch (error) { complain(error); }
}

async function forget() {
  clearTimeout(state.poll);
  const job = state.job;
  state.job = null;
  state.galaxy = null;
  $("result").hidden = $("running").hidden = true;
  history.replaceState(null, "", location.pathname);
  if (job) await ask(`${API}/jobs/${job}`, { method: "DELETE" }).catch(() => null);
}

$("cancel").addEventListener("click", async () => { await forget(); say("cancelled"); $("ask").focus(); });
$("forget").addEventListener("click", async () => { await forget(); say("the result is forgotten"); $("ask").focus(); });

// A result -----------------------------------------------------------------------------

async function show(job) {
  state.rows = job.rows;
  $("result-title").textContent = job.rows === 1 ? job.title : `${job.title}: ${job.rows} galaxies`;
  $("notes").replaceChildren(...job.notes.map((note) => make("li", { textContent: note })));
  $("notes").hidden = !job.notes.length;
  showCard(state.cards[job.model]);
  for (const kind of ["ecsv", "fits", "qp"]) $(`get-${kind}`).href = `${API}/jobs/${job.id}/download/${kind}`;
  $("list").hidden = job.rows === 1;
  $("galaxy-title").hidden = job.rows === 1;
  if (job.rows > 1) await list(0);
  await choose(0);
  $("result").hidden = false;
  plot();
  $("result-title").focus();
  $("result").scrollIntoView({ block: "start" });
}

const show3 = (value) => (value === null || value === undefined ? "–" : value.toFixed(3));

async function list(start) {
  const page = await ask(`${API}/jobs/${state.job}/galaxies?start=${start}&count=${PAGE}`);
  state.start = start;
  $("rows").replaceChildren(...page.galaxies.map((galaxy) => {
    const button = make("button", { type: "button", textContent: galaxy.id || `row ${galaxy.row + 1}` });
    button.addEventListener("click", async () => { try { await choose(galaxy.row); $("galaxy-title").focus(); $("galaxy").scrollIntoView({ block: "start" }); } catch (error) { complain(error); } });
    const line = make("tr", {}, make("td", {}, button), make("td", { textContent: show3(galaxy.z_median) }),
      make("td", { textContent: `${show3(galaxy.z_err68_low)} to ${show3(galaxy.z_err68_high)}` }), make("td", { textContent: show3(galaxy.odds) }),
      make("td", { textContent: galaxy.flag_words.map((flag) => flag.name).join(", ") || "none" }));
    line.dataset.row = galaxy.row;
    return line;
  }));
  const last = Math.min(start + PAGE, state.rows);
  $("span").textContent = `rows ${start + 1} to ${last} of ${state.rows}`;
  $("back").disabled = start === 0;
  $("forth").disabled = last >= state.rows;
  mark();
}

$("back").addEventListener("click", () => list(Math.max(0, state.start - PAGE)).catch(complain));
$("forth").addEventListener("click", () => list(state.start + PAGE).catch(complain));

function mark() {
  for (const line of $("rows").children) {
    const isShown = Number(line.dataset.row) === state.row;
    line.classList.toggle("shown", isShown);
    line.querySelector("button").setAttribute("aria-pressed", isShown);
  }
}

async function choose(row) {
  const galaxy = await ask(`${API}/jobs/${state.job}/galaxies/${row}`);
  state.galaxy = galaxy;
  state.row = row;
  zoom(false);
  mark();
  $("galaxy").hidden = false;
  $("galaxy-title").textContent = galaxy.id || `row ${row + 1}`;
  $("get-prospector").href = `${API}/jobs/${state.job}/download/prospector?row=${row}`;
  const known = galaxy.z_median !== null;
  $("estimate").replaceChildren(known ? `z = ${show3(galaxy.z_median)}` : "No redshift: nothing usable was given",
    ...(known ? [make("small", { textContent: `median; 68 % of the probability from ${show3(galaxy.z_err68_low)} to ${show3(galaxy.z_err68_high)}, 95 % from ${show3(galaxy.z_err95_low)} to ${show3(galaxy.z_err95_high)}` })] : []));
  const pieces = galaxy.hpd68.map(([low, high]) => `${show3(low)}–${show3(high)}`);
  const isMultimodal = galaxy.flag_words.some((flag) => flag.name === "MULTIMODAL");
  $("pieces").textContent = known && isMultimodal && pieces.length > 1 ? `Several peaks: the most probable 68 % lie in ${pieces.join(" and ")}.` : "";
  $("flags").replaceChildren(...(galaxy.flag_words.length
    ? galaxy.flag_words.map((flag) => make("li", {}, make("b", { textContent: flag.name }), flag.sentence))
    : [make("li", { className: "none", textContent: "None: nothing is known to be wrong." })]));
  facts($("facts"), {
    "mode": show3(galaxy.z_mode), "mean": show3(galaxy.z_mean), "least risk": show3(galaxy.z_risk), "odds": show3(galaxy.odds),
    "second peak": galaxy.z_sec === null || galaxy.z_sec === undefined ? "none" : `z = ${show3(galaxy.z_sec)}, ${(100 * galaxy.p_sec).toFixed(0)} %`,
    "star": galaxy.p_star === null || galaxy.p_star === undefined ? null : `${(100 * galaxy.p_star).toFixed(0)} % (point-like sources)`,
    "unlike training": galaxy.ood_score === null || galaxy.ood_score === undefined ? null : `${galaxy.ood_score.toFixed(2)} (flagged above 1)`,
    "bands": galaxy.bands_used.join(", "),
  });
  showCutouts(galaxy.cutouts);
  plot();
}

function facts(list, entries) {
  const parts = [];
  for (const [name, value] of Object.entries(entries)) if (value) parts.push(make("dt", { textContent: name }), make("dd", { textContent: value }));
  list.replaceChildren(...parts);
}

function showCutouts(cutouts) {
  $("cutouts-part").hidden = !cutouts.length;
  $("cutouts").replaceChildren(...cutouts.map((cutout) => {
    const frame = cutout.url
      ? make("div", { className: "frame has" }, make("img", { src: cutout.url, alt: `${cutout.title}: cutout, ${cutout.side_arcsec} arcsec wide` }))
      : make("div", { className: "frame without", textContent: cutout.state === "no_coverage" ? "not observed here" : cutout.message });
    return make("figure", {}, frame, make("figcaption", { textContent: cutout.title }));
  }));
  const drawn = cutouts.find((cutout) => cutout.url);
  $("cutouts-note").textContent = drawn ? `Each ${Math.round(drawn.side_arcsec)} arcsec wide, north up, east left; the ticks point at the target.` : "";
}

function showCard(card) {
  if (!card) return;
  $("card-name").textContent = card.name;
  facts($("card-facts"), {
    "what it is": card.description, "reads": card.bands.length ? `${card.reads}: ${card.bands.join(", ")}` : `${card.reads} in any bands`,
    "redshifts": `${card.bin_edges.length - 1} bins, ${card.bin_edges[0]} to ${card.bin_edges.at(-1).toFixed(2)}`,
    "trained on": card.training_sample, "prior": card.training_prior, "reached": card.performance, "do not trust": card.caveats,
    "cite": card.citations.join(", "), "licence": card.licence, "SHA-256": card.sha256,
  });
}

// The curve ----------------------------------------------------------------------------

const HEIGHT = 265, LEFT = 10, RIGHT = 10, TOP = 28, FOOT = 62;
const TAIL = 0.01; // of the probability, on each side, that is beyond the range shown at first

function niceStep(span, most) {
  const rough = span / most, power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough);
}

function range(galaxy, edges, cumulative) {
  if (state.whole) return [edges[0], edges.at(-1)];
  const first = cumulative.findIndex((sum) => sum > TAIL), last = cumulative.findIndex((sum) => sum > 1 - TAIL);
  const low = edges[Math.max(first - 1, 0)], high = edges[Math.min(last < 0 ? edges.length - 1 : last, edges.length - 1)];
  const pad = Math.max(0.15 * (high - low), 0.02);
  return [Math.max(edges[0], low - pad), Math.min(edges.at(-1), high + pad)];
}

function plot() {
  const galaxy = state.galaxy, box = $("plot");
  if (!galaxy || !box.clientWidth) return;
  const edges = galaxy.bin_edges, mass = galaxy.p_z, width = box.clientWidth;
  const cumulative = [0];
  for (const part of mass) cumulative.push(cumulative.at(-1) + part);
  const density = mass.map((part, i) => part / (edges[i + 1] - edges[i]));
  const [low, high] = range(galaxy, edges, cumulative);
  const top = Math.max(...density);
  const x = (z) => LEFT + ((z - low) / (high - low)) * (width - LEFT - RIGHT);
  const y = (value) => HEIGHT - FOOT - (value / top) * (HEIGHT - FOOT - TOP);
  const base = y(0);
  const svg = draw("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, height: HEIGHT, role: "slider", tabindex: 0,
    "aria-label": "Redshift at which p(z) is read", "aria-valuemin": edges[0], "aria-valuemax": edges.at(-1) });
  const steps = (from, to, close) => {
    let path = "";
    for (let i = 0; i < mass.length; i++) {
      const a = Math.max(edges[i], from), b = Math.min(edges[i + 1], to);
      if (a >= b) continue;
      if (!path) path = close ? `M${x(a)} ${base}V${y(density[i])}` : `M${x(a)} ${y(density[i])}`;
      path += `V${y(density[i])}H${x(b)}`;
    }
    return path && close ? `${path}V${base}Z` : path;
  };
  const clip = (z) => Math.min(Math.max(z, low), high);
  const known = galaxy.z_median !== null;
  if (known) {
    svg.append(draw("path", { class: "in95", d: steps(clip(galaxy.z_err95_low), clip(galaxy.z_err95_high), true) }));
    svg.append(draw("path", { class: "in68", d: steps(clip(galaxy.z_err68_low), clip(galaxy.z_err68_high), true) }));
  }
  svg.append(draw("path", { class: "curve", d: steps(low, high, false) }));
  svg.append(draw("path", { class: "axis", d: `M${LEFT} ${base}H${width - RIGHT}` }));
  const step = niceStep(high - low, Math.max(3, Math.floor(width / 80)));
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  for (let z = Math.ceil(low / step) * step; z <= high + 1e-9; z += step) {
    svg.append(draw("path", { class: "axis", d: `M${x(z)} ${base}v5` }));
    const anchor = x(z) < 20 ? "start" : x(z) > width - 20 ? "end" : "middle";
    svg.append(draw("text", { x: anchor === "start" ? LEFT : x(z), y: base + 18, "text-anchor": anchor }, z.toFixed(digits)));
  }
  if (known) {
    const middle = x(galaxy.z_median);
    svg.append(draw("path", { class: "median", d: `M${middle} ${TOP - 14}V${base}` }));
    const left = middle > width * 0.7;
    svg.append(draw("text", { class: "strong", x: middle + (left ? -6 : 6), y: TOP - 12, "text-anchor": left ? "end" : "start" }, "median"));
    [["95 %", galaxy.z_err95_low, galaxy.z_err95_high, 52, "bar thin"], ["68 %", galaxy.z_err68_low, galaxy.z_err68_high, 34, "bar"]].forEach(([label, from, to, down, kind]) => {
      const row = base + down - 4, right = x(clip(to)) + 6 + 34 < width;
      svg.append(draw("path", { class: kind, d: `M${x(clip(from))} ${row}H${x(clip(to))}M${x(clip(from))} ${row - 5}v10M${x(clip(to))} ${row - 5}v10` }));
      svg.append(draw("text", { x: right ? x(clip(to)) + 6 : x(clip(from)) - 6, y: row + 4, "text-anchor": right ? "start" : "end" }, label));
    });
  }
  const atRight = !known || galaxy.z_median < (low + high) / 2;
  svg.append(draw("text", { x: atRight ? width - RIGHT : LEFT, y: TOP - 12, "text-anchor": atRight ? "end" : "start" }, "p(z) against redshift"));
  const cursor = draw("path", { class: "cursor", d: "" }), dot = draw("circle", { class: "dot", r: 4, cx: -9, cy: -9 });
  svg.append(cursor, dot);

  let at = known ? galaxy.z_median : (low + high) / 2;
  const find = (z) => { let i = edges.findIndex((edge) => edge > z) - 1; return i < 0 ? mass.length - 1 : i; };
  const describe = () => {
    const i = find(at), below = cumulative[i] + (mass[i] * (at - edges[i])) / (edges[i + 1] - edges[i]);
    return `z = ${at.toFixed(3)}: density ${density[i].toPrecision(3)}, ${(100 * Math.min(Math.max(below, 0), 1)).toFixed(1)} % of the probability below`;
  };
  const move = (z) => {
    at = Math.min(Math.max(z, low), high);
    cursor.setAttribute("d", `M${x(at)} ${TOP}V${base}`);
    dot.setAttribute("cx", x(at));
    dot.setAttribute("cy", y(density[find(at)]));
    const text = describe();
    $("readout").textContent = text;
    svg.setAttribute("aria-valuenow", at.toFixed(4));
    svg.setAttribute("aria-valuetext", text);
  };
  svg.setAttribute("aria-valuenow", at.toFixed(4));
  svg.setAttribute("aria-valuetext", describe());
  svg.addEventListener("pointermove", (event) => move(low + ((event.clientX - box.getBoundingClientRect().left - LEFT) / (width - LEFT - RIGHT)) * (high - low)));
  svg.addEventListener("pointerdown", (event) => move(low + ((event.clientX - box.getBoundingClientRect().left - LEFT) / (width - LEFT - RIGHT)) * (high - low)));
  svg.addEventListener("keydown", (event) => {
    const unit = (high - low) / 200;
    const change = { ArrowLeft: -unit, ArrowDown: -unit, ArrowRight: unit, ArrowUp: unit, PageDown: -10 * unit, PageUp: 10 * unit, Home: low - at, End: high - at }[event.key];
    if (change === undefined) return;
    event.preventDefault();
    move(at + change);
  });
  svg.addEventListener("focus", () => move(at));
  box.replaceChildren(svg);
  $("readout").textContent = "Move over the curve, or use the arrow keys, to read it.";
}

function zoom(whole) {
  state.whole = whole;
  $("zoom").textContent = whole ? "Zoom in" : "Whole range";
}

$("zoom").addEventListener("click", () => {
  zoom(!state.whole);
  plot();
});
new ResizeObserver(() => plot()).observe($("plot"));

// The forms ----------------------------------------------------------------------------

const tabs = [...document.querySelectorAll("[role=tab]")];

function open(tab, focus) {
  for (const other of tabs) {
    const isOpen = other === tab;
    other.setAttribute("aria-selected", String(isOpen));
    other.tabIndex = isOpen ? 0 : -1;
    $(other.getAttribute("aria-controls")).hidden = !isOpen;
  }
  if (focus) tab.focus();
  calm();
}

tabs.forEach((tab, i) => {
  tab.addEventListener("click", () => open(tab));
  tab.addEventListener("keydown", (event) => {
    const to = { ArrowRight: i + 1, ArrowLeft: i - 1 + tabs.length, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    open(tabs[to % tabs.length], true);
  });
});

function addBand(band = "", value = "", error = "") {
  const line = make("div", { className: "measurement", role: "group", "aria-label": band || "another band" });
  const field = (label, text, properties) => make("input", { "aria-label": label, value: text, placeholder: label, autocomplete: "off", ...properties });
  const remove = make("button", { type: "button", textContent: "×", "aria-label": `remove ${band || "this band"}` });
  remove.addEventListener("click", () => {
    const next = line.nextElementSibling || line.previousElementSibling;
    line.remove();
    (next ? next.querySelector("button") : $("add-band")).focus();
  });
  line.append(field("band", band, { list: "bands", spellcheck: false }), field("value", value, { inputMode: "decimal" }), field("error", error, { inputMode: "decimal" }), remove);
  $("measurements").append(line);
  return line;
}

function preset(name, values = []) {
  $("measurements").replaceChildren();
  PRESETS[name].forEach((band, i) => addBand(band, ...(values[i] || []).map(String)));
}

$("add-band").addEventListener("click", () => addBand().querySelector("input").focus());
$("preset").addEventListener("change", () => preset($("preset").value));
$("example").addEventListener("click", () => {
  $("preset").value = EXAMPLE.preset;
  $("quantity").value = "mag";
  preset(EXAMPLE.preset, EXAMPLE.mags);
});

function options(select, names, cards) {
  select.append(...names.map((name) => make("option", { value: name, textContent: name, title: cards[name] ? cards[name].description : "" })));
}

async function begin() {
  try {
    const [offered, cards] = await Promise.all([ask(`${API}/options`), ask(`${API}/models`)]);
    state.cards = Object.fromEntries(cards.map((card) => [card.name, card]));
    state.limits = offered.limits;
    const there = new Set(offered.bands);
    for (const [name, bands] of Object.entries(PRESETS)) {
      if (bands.every((band) => there.has(band))) $("preset").append(make("option", { textContent: name }));
    }
    $("bands").append(...offered.bands.map((band) => make("option", { value: band })));
    preset($("preset").value);
    options($("position-model"), offered.models_of_images, state.cards);
    options($("fluxes-model"), offered.models_of_fluxes, state.cards);
    $("table-model").append(make("option", { value: "", textContent: "that of fluxes, else of images" }));
    options($("table-model"), Object.keys(state.cards), state.cards);
    $("survey").append(...offered.surveys.map((survey) => make("option", { value: survey.name, textContent: survey.title })));
    const limits = offered.limits;
    $("file-limits").textContent = `At most ${limits.upload_bytes / 1e6} MB and ${limits.rows.toLocaleString("en")} rows, ${limits.positions.toLocaleString("en")} of positions.`;
    $("privacy").textContent = `What you ask stays in the memory of this server, for at most ${Math.round(limits.keep_seconds / 60)} minutes; nothing is written to disk. Whoever has the address of a result can see it.`;
    $("version").textContent = `Version ${offered.version}.`;
    const id = location.hash.slice(1);
    if (id) watch(await ask(`${API}/jobs/${encodeURIComponent(id)}`));
  } catch (error) {
    complain(error);
  }
}

begin();
