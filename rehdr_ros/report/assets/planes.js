// The planes, a figure each: amounts in colours over their scale, levels in flat ones.
{
  const section = find("#planes");
  const RAMP = [[16, 23, 58], [47, 75, 154], [42, 143, 168], [124, 198, 111], [249, 224, 76]];
  const FLAT = [[217, 217, 217], [59, 125, 216], [240, 160, 40], [178, 24, 80]]; // by level
  const BYTES = Array.from({ length: 256 }, (_, value) => value);
  const css = ([red, green, blue]) => `rgb(${red} ${green} ${blue})`;
  section.hidden = !data.planes.length;

  // Between the ends of the scale, 0 to 1, and back; logarithmic where it does not begin at 0.
  const placeOf = (value, [low, high]) =>
    low > 0 ? Math.log2(value / low) / Math.log2(high / low) : (value - low) / (high - low);
  const valueAt = (place, [low, high]) => low > 0 ? low * (high / low) ** place : low + place * (high - low);
  const ramp = (value, span) => {
    const place = Math.min(Math.max(placeOf(value, span), 0), 1) * (RAMP.length - 1);
    const below = Math.min(Math.floor(place), RAMP.length - 2);
    return RAMP[below].map((level, c) => level + (place - below) * (RAMP[below + 1][c] - level));
  };
  const said = (value) => value < 1 && Number.isInteger(1 / value) ? `1/${1 / value}` : number(value);
  const scale = ({ span, unit }) => {
    const [low, ...ticks] = RAMP.map((_, k) => said(valueAt(k / (RAMP.length - 1), span)));
    const [least, most] = span[0] > 0 ? ["≤ ", "≥ "] : ["", ""], high = ticks.pop();
    const all = [`${least}${low}`, ...ticks, `${most}${high} ${unit}`.trim()];
    const style = `background: linear-gradient(to right, ${RAMP.map(css).join(", ")})`;
    return [make("div", { class: "ramp", style }),
      make("div", { class: "ticks" }, ...all.map((text) => make("span", {}, text)))];
  };
  const share = (name, level, codes) => make("li", {}, make("i", { style: `background: ${css(FLAT[level])}` }), name,
    make("b", {}, percent(codes.reduce((count, code) => count + (code === level), 0) / codes.length)));

  for (const plane of data.planes) {
    const { name, about, half, levels, span } = plane;
    const label = `${name} in colours; arrow keys move the probe`;
    const canvas = make("canvas", { id: `plane-${name}`, tabindex: 0, role: "img", "aria-label": label });
    const picture = make("div", { class: "picture" }, canvas, make("span", { class: "probe" }));
    const legend = make("ul", { class: "legend" }), key = levels.length ? [legend] : scale(plane);
    const caption = make("figcaption", {}, ...key, make("b", {}, name), `: ${about}`);
    find(".pair", section).append(make("figure", {}, picture, caption));
    const colours = levels.length ? FLAT : Array.from(half ? HALF : BYTES, (value) => ramp(value, span));
    views.push((frame, { [name]: codes }) => {
      paint(canvas, frame, (i, c) => colours[codes[i]]?.[c]);
      legend.replaceChildren(...levels.map((level, code) => share(level, code, codes)));
    });
  }
}
