// Outputs between the frames, one after the other: a scrubber, and a slow-motion clip.
if (data.clip) {
  const { numbers, seconds, ages, pictures, frames, frame_of: frameOf } = data.clip;
  const section = find("#clip"), scrubber = find("#moment"), play = find("#play");
  const INTERVAL = 80; // ms
  const load = (url) => Object.assign(new Image(), { src: url });
  const loaded = pictures.map(load), camera = frames.map(load);
  let timer = null;

  const draw = (canvas, image) => {
    if (!image?.complete) return void image?.decode().then(() => draw(canvas, image));
    Object.assign(canvas, { width: image.naturalWidth, height: image.naturalHeight });
    canvas.getContext("2d").drawImage(image, 0, 0);
  };
  const show = () => {
    const k = Number(scrubber.value);
    draw(find(".output", section), loaded[k]);
    draw(find(".camera", section), camera[frameOf[k]]);
    find("#moment-text").textContent = `${(1e3 * seconds[k]).toFixed(0)} ms · output ${numbers[k]}`;
    find("#age").textContent = `${(1e3 * ages[k]).toFixed(0)} ms after the camera's last frame`;
    section.dataset.shown = k;
  };
  const stop = () => {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
  };
  const step = () => {
    scrubber.value = (Number(scrubber.value) + 1) % pictures.length;
    show();
  };
  play.addEventListener("click", () => {
    if (timer) return stop();
    timer = setInterval(step, INTERVAL);
    play.textContent = "Pause";
  });
  scrubber.addEventListener("input", () => {
    stop();
    show();
  });
  const each = seconds[seconds.length - 1] / (seconds.length - 1);
  find("#slower").textContent = `${number(INTERVAL / (1e3 * each), 2)} times slower than it was`;
  scrubber.max = pictures.length - 1;
  find("figure", section).hidden = !frames.length;
  show();
} else {
  find("#clip").hidden = true;
}
