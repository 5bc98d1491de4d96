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
  section.hidden = !("events" in data.frames[0].pictures);
  views.push(({ pictures }) => {
    if (section.hidden) return;
    find(".under", section).src = pictures.tonemapped;
    find(".over", section).src = pictures.events;
  });
}
