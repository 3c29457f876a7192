// A chart of samples over time, drawn by uPlot. The values at the pointer stand above it.

import { currentLocale } from "./format.js";
import { Component, createRef } from "./preact.js";
import { html } from "./view.js";

const HEIGHT = 176;
// Below this span, in seconds, the time axis shows seconds.
const SHORT = 240;

// A colour of the style sheet, as the canvas takes it.
function colour(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

export class Chart extends Component {
  constructor(props) {
    super(props);
    this.place = createRef();
  }

  componentDidMount() {
    this.make();
    this.resized = new ResizeObserver(() => {
      const width = this.place.current.clientWidth;
      if (this.plot && width && width !== this.plot.width) this.plot.setSize({ width, height: HEIGHT });
    });
    this.resized.observe(this.place.current);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.onScheme = () => this.make();
    this.scheme.addEventListener("change", this.onScheme);
  }

  componentDidUpdate(before) {
    if (before.theme !== this.props.theme || before.language !== this.props.language) this.make();
    else this.plot.setData(this.props.data);
  }

  componentWillUnmount() {
    this.resized.disconnect();
    this.scheme.removeEventListener("change", this.onScheme);
    this.plot.destroy();
  }

  make() {
    if (this.plot) this.plot.destroy();
    const { data, series, unit } = this.props;
    const [dim, line] = [colour("--dim"), colour("--line")];
    const axis = { stroke: dim, grid: { stroke: line, width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    const clocks = [undefined, "2-digit"].map((second) => new Intl.DateTimeFormat(currentLocale(), { hour: "2-digit", minute: "2-digit", second }));
    const times = ({ scales: { x } }, at) => at.map((v) => clocks[x.max - x.min < SHORT ? 1 : 0].format(v * 1000));
    const scales = { x: { time: true } };
    const axes = [{ ...axis, space: 80, values: times }];
    series.forEach((one, index) => {
      scales[one.scale] = { range: (_, min, max) => [0, max > 0 ? max * 1.15 : 1] };
      if (series.findIndex((other) => other.scale === one.scale) !== index) return;
      axes.push({ ...axis, scale: one.scale, side: axes.length === 1 ? 3 : 1, size: 58, grid: axes.length === 1 ? axis.grid : { show: false },
        values: (_, at) => at.map((v) => (one.format || unit)(v)) });
    });
    this.plot = new uPlot({
      width: this.place.current.clientWidth || 300, height: HEIGHT, legend: { show: false }, scales, axes,
      padding: [8, 4, 0, 0], cursor: { drag: { x: false, y: false }, points: { size: 6 } },
      series: [{}, ...series.map((one) => ({
        scale: one.scale, stroke: colour(one.colour), fill: one.fill ? colour(one.fill) : undefined, width: 1.5,
        points: { show: false }, spanGaps: false,
      }))],
    }, data, this.place.current);
  }

  render({ label }) {
    return html`<div class="chart" ref=${this.place} role="img" aria-label=${label}></div>`;
  }
}
