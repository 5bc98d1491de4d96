// The picture of the events, over as much of the frame as wanted.
{
  const section = find("#events");
  const blend = find("#blend");
  const mix = () => {
    find("#blend-text").textContent = `${blend.value} %`;
    find(".under", section).style.opacity = blend.value / 100;
  };
  blend.addEventListener("input", mix);
  mix();
  if (data.frames[0].events === null) section.hidden = true;
  views.push((frame) => {
    if (frame.events === null) return;
    find(".under", section).src = frame.tonemapped;
    find(".over", section).src = frame.events;
  });
}
