"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const find = (selector, root = document) => root.querySelector(selector);
const make = (tag, attributes, ...content) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...content);
  return element;
};
const number = (value, digits = 3) => value.toLocaleString("en", { maximumSignificantDigits: digits }).replaceAll(",", "\u2009");
const percent = (fraction) => `${(100 * fraction).toFixed(1)} %`;

// What the views have to show when another frame is chosen, each a function of the frame and its decoded pixels.
const views = [];
let shown = 0;

// The value of each non-negative half float; radiance and uncertainty are never negative here.
const HALF = Float32Array.from({ length: 0x7c00 }, (_, bits) => {
  const exponent = bits >> 10, fraction = (bits & 1023) / 1024;
  return exponent ? 2 ** (exponent - 15) * (1 + fraction) : 2 ** -14 * fraction;
});

async function inflate(base64, kind) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new kind(await new Response(stream).arrayBuffer());
}

async function bytesOf(url, width, height) {
  const image = new Image();
  image.src = url;
  await image.decode();
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, width, height).data;
}

// By name: half floats (RGB) of the radiance and, where the folder has it, of the truth, half floats or bytes of the planes and, where the folder has it,
// bytes (RGBA) of the camera's frame.
async function decoded({ pictures, width, height }) {
  const pixels = { hdr: await inflate(pictures.hdr, Uint16Array) };
  if (pictures.truth) pixels.truth = await inflate(pictures.truth, Uint16Array);
  if (pictures.ldr) pixels.ldr = await bytesOf(pictures.ldr, width, height);
  for (const { name, half } of data.planes) {
    pixels[name] = await inflate(pictures[name], half ? Uint16Array : Uint8Array);
  }
  return pixels;
}
const pixelsOf = (frame) => frame.pixels ??= decoded(frame);

// level: of channel c of pixel i, 0 to 255.
function paint(canvas, { width, height }, level) {
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = level(i, c);
    image.data[4 * i + 3] = 255;
  }
  Object.assign(canvas, { width, height }).getContext("2d").putImageData(image, 0, 0);
}

function describe({ number: name, facts }) {
  const words = [
    [facts.events, (value) => `${number(value, 15)} events`],
    [facts.clipped_fraction, (value) => `${percent(value)} of the camera's pixels clip`],
    [facts.tonemapped_clipped_fraction, (value) => `${percent(value)} of the tone-mapped ones`],
  ];
  const time = facts.seconds === null ? "" : ` · ${facts.seconds.toFixed(2)} s`;
  find("#frame-name").textContent = `${name}${time}`;
  find("#frame").setAttribute("aria-valuetext", `frame ${name}${time}`);
  find("#frame-facts").textContent = words.filter(([value]) => value !== null).map(([value, say]) => say(value)).join(" · ");
}

async function choose(index) {
  shown = index;
  const frame = data.frames[index];
  find("#frame").value = index;
  describe(frame);
  const pixels = await pixelsOf(frame);
  if (shown !== index) return; // another one was chosen meanwhile
  document.documentElement.style.setProperty("--ratio", frame.width / frame.height);
  for (const picture of document.querySelectorAll(".picture")) picture.style.aspectRatio = `${frame.width} / ${frame.height}`;
  for (const show of views) show(frame, pixels);
  document.body.dataset.shown = index;
}

addEventListener("DOMContentLoaded", () => {
  const slider = find("#frame");
  slider.max = data.frames.length - 1;
  slider.addEventListener("input", () => choose(Number(slider.value)));
  for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());
  choose(data.opening.frame);
});
