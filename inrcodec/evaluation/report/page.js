/* What the page shows, and how the reader chooses it. `data` is what page.py wrote. */

const data = JSON.parse(document.getElementById("data").textContent);
const codecs = data.codecs.map((codec, index) => ({ ...codec, index }));
const codecNamed = new Map(codecs.map((codec) => [codec.name, codec]));
const hidden = new Set();
const MEAN = "mean";
const byId = (id) => document.getElementById(id);
const kind = () => data.kinds[Number(byId("kind").value)];

function fill(select, choices, keep) {
  const before = select.value;
  select.replaceChildren(...choices.map(([value, label]) => make("option", { value }, label)));
  if (keep && choices.some(([value]) => String(value) === before)) select.value = before;
}

function thousands(number) {
  return Math.round(number).toLocaleString("en");
}

function seconds(value) {
  return value >= 100 ? `${value.toFixed(0)} s` : value >= 1 ? `${value.toFixed(1)} s` : `${Number((value * 1000).toPrecision(2))} ms`;
}

function percent(value) {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(1)} %`;
}

function badge(codec) {
  return codec.published ? make("span", { class: "badge" }, "published") : null;
}

/* Points of the current kind and view: a file's own, or means over files (published means are over files of their own). */
function pointsShown() {
  const view = byId("view").value;
  return kind().points.filter((point) => (view === MEAN ? point.file === null : point.file === Number(view)));
}

function tellPoint(point) {
  const codec = codecs[point.codec];
  const qualities = kind().metrics.filter(([key]) => point.db[key] !== undefined);
  const told = qualities.map(([key, label]) => (key === "ms_ssim" ? `${label} ${point.ms_ssim.toFixed(4)} (${point.db[key].toFixed(2)} dB)` : `${label} ${point.db[key].toFixed(2)} dB`));
  const times = [["encode", point.encode_s], ["decode", point.decode_s]].filter(([, value]) => value !== null);
  return [
    `${codec.shown}${codec.published ? " (published, not measured here)" : ""}`,
    `${point.setting} · ${point.name}`,
    `${point.bytes === null ? "" : `${thousands(point.bytes)} bytes · `}${point.bpp.toFixed(4)} bpp`,
    ...told,
    ...(times.length ? [times.map(([name, value]) => `${name} ${seconds(value)}`).join(" · ")] : []),
    ...(point.macs === null ? [] : [`${thousands(point.macs)} MAC/pixel`]),
  ];
}

function seriesOf(points, metric) {
  const visible = codecs.filter((codec) => !hidden.has(codec.name));
  return visible
    .map((codec) => {
      const own = points.filter((point) => point.codec === codec.index && point.db[metric] !== undefined);
      own.sort((a, b) => a.bpp - b.bpp);
      return { codec, points: own.map((point) => ({ x: point.bpp, y: point.db[metric], tell: () => tellPoint(point) })) };
    })
    .filter((one) => one.points.length);
}

function drawRates() {
  const all = pointsShown();
  const points = all.filter((point) => !point.far);
  const { metrics } = kind();
  const notes = byId("view").value === MEAN ? [kind().mean_note] : [];
  if (points.length < all.length) notes.push(`${all.length - points.length} published points of much higher rate than any measured one are in the table only.`);
  byId("view-note").textContent = notes.join(" ");
  const label = (metric) => metrics.find(([key]) => key === metric)[1];
  const common = { xLabel: "bits per pixel", lines: true, logX: byId("log-rate").checked, empty: "No point with this quality is shown. (MS-SSIM is not measured where a side is below 161 pixels; a mean needs it of every file.)" };
  const wanted = [byId("quality").value, "ms_ssim"].filter((metric) => metrics.some(([key]) => key === metric));
  const hosts = hostsIn("rd-charts", wanted.length);
  wanted.forEach((metric, index) => {
    const yLabel = metric === "ms_ssim" ? "−10 log₁₀(1 − MS-SSIM), dB" : `${label(metric)}, dB`;
    chart(hosts[index], { ...common, title: label(metric), yLabel, series: seriesOf(points, metric) });
  });
  drawPoints(all);
}

function hostsIn(id, count) {
  const place = byId(id);
  while (place.children.length > count) place.lastChild.remove();
  while (place.children.length < count) place.append(make("div"));
  return [...place.children];
}

function drawLegend() {
  const present = new Set(kind().points.map((point) => point.codec));
  const buttons = codecs.filter((codec) => present.has(codec.index)).map((codec) => {
    const swatch = draw("svg", { width: 26, height: 14, viewBox: "-13 -7 26 14", "aria-hidden": true, class: `curve c${codec.look % data.colors}${codec.published ? " published" : ""}` });
    swatch.append(draw("path", { class: "line", d: "M-12,0H12" }), marker(codec));
    const button = make("button", { type: "button", "aria-pressed": !hidden.has(codec.name) }, swatch, make("span", {}, codec.shown), badge(codec));
    button.dataset.codec = codec.name;
    button.addEventListener("click", () => show([codec], hidden.has(codec.name)));
    return button;
  });
  const several = [["all", codecs, []], ["none", [], codecs], ["measured only", codecs.filter((c) => !c.published), codecs.filter((c) => c.published)]];
  const needed = several.filter(([, yes, no]) => (yes.length && no.length) || yes.length === codecs.length || no.length === codecs.length);
  byId("legend").replaceChildren(...buttons, ...needed.map(([name, yes, no]) => {
    const button = make("button", { type: "button", class: "several" }, name);
    button.addEventListener("click", () => { show(no, false); show(yes, true); });
    return button;
  }));
}

function show(some, visible) {
  for (const codec of some) visible ? hidden.delete(codec.name) : hidden.add(codec.name);
  for (const button of byId("legend").querySelectorAll("[data-codec]")) button.setAttribute("aria-pressed", !hidden.has(button.dataset.codec));
  hideTip();
  drawRates();
  drawTimes();
}

/* Rows are arrays of cells: text, a node, or {number}. */
function table(heads, rows) {
  const cell = (tag, content) => (content !== null && typeof content === "object" && "number" in content ? make(tag, { class: "number" }, content.number) : make(tag, {}, content ?? ""));
  const body = rows.map((row) => make("tr", {}, ...row.map((content) => cell("td", content))));
  return make("table", {}, make("thead", {}, make("tr", {}, ...heads.map((head) => cell("th", head)))), make("tbody", {}, ...body));
}

function drawPoints(points) {
  if (!byId("points").open) return;
  const { metrics } = kind();
  const heads = ["codec", "setting", "file", { number: "bytes" }, { number: "bpp" }, ...metrics.map(([, label]) => ({ number: label })), { number: "encode" }, { number: "decode" }];
  const rows = points.map((point) => [
    nameOf(codecs[point.codec]), point.setting, point.name,
    { number: point.bytes === null ? "–" : thousands(point.bytes) }, { number: point.bpp.toFixed(4) },
    ...metrics.map(([key]) => ({ number: point.db[key] === undefined ? "–" : key === "ms_ssim" ? point.ms_ssim.toFixed(4) : point.db[key].toFixed(2) })),
    ...[point.encode_s, point.decode_s].map((value) => ({ number: value === null ? "–" : seconds(value) })),
  ]);
  byId("points").lastElementChild.replaceChildren(table(heads, rows));
}

function nameOf(codec) {
  return make("span", {}, codec.shown, codec.published ? " " : null, badge(codec));
}

function drawBd() {
  const reference = byId("reference").value;
  const rows = (kind().bd[byId("bd-metric").value] ?? {})[reference] ?? [];
  const sorted = [...rows].sort((a, b) => (a.of_files ?? a.of_mean ?? Infinity) - (b.of_files ?? b.of_mean ?? Infinity));
  const number = (value) => ({ number: value === null ? "not comparable" : percent(value) });
  const cells = sorted.map((row) => [nameOf(codecNamed.get(row.codec)), number(row.of_files), number(row.of_mean), { number: row.files ? `${row.compared} of ${row.files}` : "none" }, row.note]);
  cells.push([nameOf(codecNamed.get(reference)), { number: "0" }, { number: "0" }, { number: "" }, "the reference"]);
  const heads = ["codec", { number: "mean of files’ BD-rates" }, { number: "BD-rate of mean curve" }, { number: "files compared" }, "what limits it"];
  const made = table(heads, cells);
  for (const row of made.tBodies[0].rows) row.lastChild.className = "words";
  made.tBodies[0].lastChild.className = "reference";
  byId("bd").replaceChildren(made);
}

function drawTimes() {
  const reference = byId("reference").value;
  const metric = byId("bd-metric");
  const rates = new Map(((kind().bd[metric.value] ?? {})[reference] ?? []).map((row) => [row.codec, row.of_files]));
  rates.set(reference, 0);
  const quality = metric.selectedOptions[0]?.textContent ?? "";
  const hosts = hostsIn("time-charts", 2);
  ["encode", "decode"].forEach((which, index) => {
    const known = codecs.filter((codec) => kind().times[codec.name]?.[which] && (rates.get(codec.name) ?? null) !== null);
    const series = known.filter((codec) => !hidden.has(codec.name)).map((codec) => {
      const [x, y] = [kind().times[codec.name][which], rates.get(codec.name)];
      return { codec, points: [{ x, y, tell: () => [codec.name, `${which} ${seconds(x)} per megapixel`, `BD-rate (${quality}) ${percent(y)} against ${reference}`] }] };
    });
    chart(hosts[index], { title: `Time to ${which}`, xLabel: "seconds per megapixel (logarithmic)", yLabel: `BD-rate (${quality}), %, lower is better`, logX: true, series, lines: false, named: true, empty: "No codec here has both a time and a BD-rate." });
  });
  const missing = codecs.filter((codec) => kind().points.some((point) => point.codec === codec.index) && !((rates.get(codec.name) ?? null) !== null && kind().times[codec.name]?.encode));
  byId("time-missing").textContent = missing.length ? `Not drawn, for want of a time measured here or of a BD-rate: ${missing.map((codec) => codec.name).join(", ")}.` : "";
}

function drawCrops() {
  if (!data.crops) return;
  const { pictures, note } = data.crops;
  byId("crops").hidden = false;
  byId("crops-note").textContent = note;
  for (const [side, first] of [["left", 0], ["right", Math.min(1, pictures.length - 1)]]) {
    fill(byId(side), pictures.map((picture, index) => [index, picture.name]));
    byId(side).value = first;
    const showSide = () => {
      const picture = pictures[Number(byId(side).value)];
      byId(`${side}-image`).src = picture.png;
      byId(`${side}-image`).alt = `${picture.name}: ${picture.caption}`;
      byId(`${side}-caption`).replaceChildren(make("strong", {}, picture.name), make("br"), picture.caption);
    };
    byId(side).addEventListener("change", showSide);
    showSide();
  }
  const divide = () => {
    byId("right-image").style.clipPath = `inset(0 0 0 ${byId("slider").value}%)`;
    byId("divider").style.left = `${byId("slider").value}%`;
  };
  byId("slider").addEventListener("input", divide);
  const drag = (event) => {
    const frame = byId("stage").getBoundingClientRect();
    if (event.pointerType === "mouse" && event.type === "pointermove" && !event.buttons) return;
    byId("slider").value = (100 * (event.clientX - frame.left)) / frame.width;
    divide();
  };
  for (const name of ["pointerdown", "pointermove"]) byId("stage").addEventListener(name, drag);
  divide();
}

function chooseKind() {
  const { files, metrics, has_mean, time_note, bd, looks } = kind();
  for (const codec of codecs) codec.look = looks[codec.index];
  fill(byId("view"), [...(has_mean ? [[MEAN, "mean over files"]] : []), ...files.map((name, index) => [index, name])]);
  fill(byId("quality"), metrics.filter(([key]) => key !== "ms_ssim"), true);
  byId("quality-label").hidden = byId("quality").options.length < 2;
  fill(byId("bd-metric"), metrics, true);
  const references = new Set(Object.values(bd).flatMap((of) => Object.keys(of)));
  fill(byId("reference"), codecs.filter((codec) => references.has(codec.name)).map(({ name }) => [name, name]), true);
  byId("reference").value = data.references.find((name) => references.has(name)) ?? byId("reference").value;
  byId("time-note").textContent = time_note;
  drawLegend();
  redraw();
}

function redraw() {
  hideTip();
  drawRates();
  drawBd();
  drawTimes();
}

byId("lead").textContent = data.lead;
fill(byId("kind"), data.kinds.map(({ over }, index) => [index, over]));
byId("kind-label").hidden = data.kinds.length < 2;
byId("kind").addEventListener("change", chooseKind);
for (const id of ["view", "quality", "log-rate"]) byId(id).addEventListener("change", () => { hideTip(); drawRates(); });
for (const id of ["reference", "bd-metric"]) byId(id).addEventListener("change", () => { hideTip(); drawBd(); drawTimes(); });
byId("points").addEventListener("toggle", () => drawPoints(pointsShown()));
byId("made").replaceChildren(table(["what", "value"], data.made));
chooseKind();
drawCrops();
let widthDrawn = innerWidth;
addEventListener("resize", () => {
  if (innerWidth !== widthDrawn) redraw();
  widthDrawn = innerWidth;
});
addEventListener("scroll", hideTip, { passive: true });
