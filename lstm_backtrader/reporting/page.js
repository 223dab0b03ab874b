"use strict"
// Draws the linked chart with plotly, follows zoom and theme, and sorts tables. Loads nothing: all of it is in the page.

const BUCKETS = 900 // stretches of the visible time, each drawn by its lowest and highest value
const MOST_MARKS = 600 // of one kind in view; the first are the most telling
const GAP = 18 // pixels between panels, beside those of their titles
const LINE = 16 // pixels of a line of a title
const LETTER = 6.6 // pixels of one of its letters, about

const unpack = async id => {
  const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), c => c.charCodeAt(0))
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text()
}
const array = (text, Kind) => new Kind(Uint8Array.from(atob(text), c => c.charCodeAt(0)).buffer)
const colour = name => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()
const faded = name => `color-mix(in srgb, ${colour(name)} 22%, transparent)`
const rgb = value => { // plotly knows no color-mix, a canvas does
  const brush = document.createElement("canvas").getContext("2d", {willReadFrequently: true})
  brush.fillStyle = value
  brush.fillRect(0, 0, 1, 1)
  const [r, g, b, a] = brush.getImageData(0, 0, 1, 1).data
  return `rgba(${r},${g},${b},${a / 255})`
}

const moment = value => { // plotly says "2024-01-31 08:00" or "2024-01-31", both UTC
  if (typeof value === "number") return value
  return Date.parse(value.length > 10 ? `${value.replace(" ", "T")}Z` : value)
}

const firstFrom = (times, moment) => { // binary search
  let low = 0, high = times.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (times[middle] < moment) low = middle + 1
    else high = middle
  }
  return low
}

// Rows of [from, to) to draw a curve by: in each stretch its lowest and its highest, and the ends.
const telling = (values, from, to) => {
  const size = Math.max(1, Math.floor((to - from) / BUCKETS))
  const rows = []
  for (let begin = from; begin < to; begin += size) {
    const end = Math.min(begin + size, to)
    let low = -1, high = -1
    for (let row = begin; row < end; row++) {
      const value = values[row]
      if (Number.isNaN(value)) continue
      if (low < 0 || value < values[low]) low = row
      if (high < 0 || value > values[high]) high = row
    }
    if (low < 0) rows.push(begin)
    else if (low === high) rows.push(low)
    else rows.push(Math.min(low, high), Math.max(low, high))
  }
  if (to > from && rows[rows.length - 1] !== to - 1) rows.push(to - 1)
  return rows
}

class Chart {
  constructor(box, data) {
    this.box = box
    this.panels = data.panels
    this.shades = data.shades
    this.times = array(data.steps, Float64Array)
    for (let row = 1; row < this.times.length; row++) this.times[row] += this.times[row - 1]
    const last = this.times.length - 1
    const margin = Math.max((this.times[last] - this.times[0]) * 0.01, 1000)
    this.range = this.whole = [this.times[0] - margin, this.times[last] + margin]
    for (const panel of this.panels) {
      for (const curve of panel.curves) curve.values = array(curve.values, Float32Array)
      for (const band of panel.bands) {
        band.low = array(band.low, Float32Array)
        band.high = array(band.high, Float32Array)
      }
      for (const marks of panel.marks) {
        marks.times = array(marks.times, Float64Array)
        marks.values = array(marks.values, Float32Array)
      }
      for (const stretches of panel.stretches) {
        stretches.begins = array(stretches.begins, Float64Array)
        stretches.ends = array(stretches.ends, Float64Array)
        stretches.values = array(stretches.values, Float32Array)
      }
    }
  }

  line(values, from, to) {
    const rows = telling(values, from, to)
    return {x: rows.map(row => this.times[row]), y: rows.map(row => Number.isNaN(values[row]) ? null : values[row])}
  }

  // What of every trace lies in [begin, end]; one bar more at either side, so that lines go on to the edge.
  seen([begin, end]) {
    const from = Math.max(0, firstFrom(this.times, begin) - 1)
    const to = Math.min(this.times.length, firstFrom(this.times, end) + 1)
    const parts = []
    for (const panel of this.panels) {
      for (const band of panel.bands) parts.push(this.line(band.low, from, to), this.line(band.high, from, to))
      for (const curve of panel.curves) parts.push(this.line(curve.values, from, to))
      for (const stretches of panel.stretches) {
        const x = [], y = []
        for (let row = 0; row < stretches.begins.length && x.length < 3 * MOST_MARKS; row++) {
          if (stretches.ends[row] < begin || stretches.begins[row] > end) continue
          x.push(stretches.begins[row], stretches.ends[row], null)
          y.push(stretches.values[row], stretches.values[row], null)
        }
        parts.push({x, y})
      }
      for (const marks of panel.marks) {
        const rows = []
        for (let row = 0; row < marks.times.length && rows.length < MOST_MARKS; row++) {
          if (marks.times[row] >= begin && marks.times[row] <= end) rows.push(row)
        }
        parts.push({
          x: rows.map(row => marks.times[row]),
          y: rows.map(row => marks.values[row]),
          text: rows.map(row => marks.texts[row] ?? ""),
        })
      }
    }
    return parts
  }

  traces(range) {
    const parts = this.seen(range)
    const found = []
    this.panels.forEach((panel, number) => {
      const place = {type: "scatter", xaxis: "x", yaxis: number ? `y${number + 1}` : "y"}
      const said = {hovertemplate: `%{y:${panel.format}}`}
      for (const band of panel.bands) {
        const edge = {...place, ...said, mode: "lines", line: {width: 0, color: colour(band.colour)}}
        found.push({...edge, name: `${band.name} low`})
        found.push({...edge, name: `${band.name} high`, fill: "tonexty", fillcolor: rgb(faded(band.colour))})
      }
      for (const curve of panel.curves) {
        const line = {
          color: colour(curve.colour),
          width: curve.width,
          dash: curve.dashed ? "dot" : "solid",
          shape: curve.step ? "hv" : "linear",
        }
        const fill = curve.filled ? {fill: "tozeroy", fillcolor: rgb(faded(curve.colour))} : {}
        found.push({...place, ...said, ...fill, mode: "lines", name: curve.name, line})
      }
      for (const stretches of panel.stretches) {
        const line = {color: colour(stretches.colour), width: 1, dash: "dot"}
        found.push({...place, mode: "lines", name: stretches.name, hoverinfo: "skip", line})
      }
      for (const marks of panel.marks) {
        const edge = marks.symbol.endsWith("open") ? {} : {color: colour("back"), width: 1}
        const marker = {symbol: marks.symbol, size: marks.symbol === "circle-open" ? 7 : 9, color: colour(marks.colour), line: edge}
        const hovertemplate = "%{text}<extra></extra>"
        found.push({...place, mode: "markers", name: marks.name, marker, hovertemplate})
      }
    })
    return found.map((trace, number) => ({...trace, ...parts[number], showlegend: false}))
  }

  layout(range) {
    const margin = {l: 58, r: 12, t: 4, b: 28}
    const heads = this.panels.map(panel => this.head(panel, this.box.clientWidth - margin.l - margin.r))
    const gaps = heads.map(lines => GAP + LINE * lines.length)
    const plot = this.panels.reduce((sum, panel, number) => sum + panel.height + gaps[number], 0)
    const layout = {
      height: plot + margin.t + margin.b,
      margin,
      autosize: true,
      font: {family: "system-ui, sans-serif", size: 12, color: colour("text")},
      paper_bgcolor: colour("back"),
      plot_bgcolor: colour("back"),
      hovermode: "x",
      hoversubplots: "axis",
      hoverlabel: {bgcolor: colour("soft"), bordercolor: colour("line"), font: {color: colour("text"), size: 11}},
      dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
      xaxis: {
        type: "date", range: [...range], anchor: `y${this.panels.length > 1 ? this.panels.length : ""}`,
        gridcolor: colour("line"), showspikes: true, spikemode: "across", spikethickness: 1, spikedash: "solid",
        spikecolor: colour("quiet"), spikesnap: "hovered data", hoverformat: "%Y-%m-%d %H:%M",
      },
      annotations: [],
      shapes: [],
    }
    let top = plot
    this.panels.forEach((panel, number) => {
      const axis = number ? `yaxis${number + 1}` : "yaxis"
      const y = number ? `y${number + 1}` : "y"
      const ceiling = (top - gaps[number]) / plot
      layout[axis] = {
        domain: [(top - gaps[number] - panel.height) / plot, ceiling], anchor: "x", type: panel.log ? "log" : "linear",
        tickformat: panel.format === ".2%" ? ".2~p" : ",.10~g", ...(panel.log ? {dtick: this.isWide(panel, range) ? "D2" : "D1"} : {}), fixedrange: true, gridcolor: colour("line"),
        zeroline: false, nticks: panel.height > 150 ? 6 : 4,
      }
      layout.annotations.push({
        text: heads[number].join("<br>"), xref: "paper", yref: "paper", x: 0, y: ceiling,
        xanchor: "left", yanchor: "bottom", align: "left", showarrow: false, yshift: 3,
      })
      for (const level of panel.levels) {
        layout.shapes.push({
          type: "line", xref: "x domain", x0: 0, x1: 1, yref: y, y0: level.value, y1: level.value,
          line: {color: colour(level.colour), width: 1, dash: "dot"},
        })
      }
      for (const shade of this.shades) {
        const name = {text: shade.name, textposition: "top left", font: {size: 11, color: colour("quiet")}}
        layout.shapes.push({
          type: "rect", layer: "below", xref: "x", x0: shade.from, x1: shade.to, yref: `${y} domain`, y0: 0, y1: 1,
          fillcolor: rgb(faded("quiet")), opacity: 0.5, line: {width: 0}, ...(number ? {} : {label: name}),
        })
      }
      top -= panel.height + gaps[number]
    })
    return layout
  }

  // Whether what is visible of a panel spans so much that not every digit has room on its logarithmic axis.
  isWide(panel, [begin, end]) {
    const from = firstFrom(this.times, begin), to = firstFrom(this.times, end)
    let low = Infinity, high = 0
    for (const curve of panel.curves) {
      for (const value of curve.values.subarray(from, to)) {
        if (value < low) low = value
        if (value > high) high = value
      }
    }
    return high > 4 * low
  }

  // Title and legend of a panel, in as many lines as the width takes.
  head(panel, width) {
    const signs = {"triangle-up": "▲", "triangle-down": "▼", "circle-open": "○", "x": "✖", "x-open": "✕"}
    const keys = panel.curves.map(curve => [curve.dashed ? "┅" : "━", curve])
    keys.push(...panel.stretches.map(stretches => ["┅", stretches]))
    keys.push(...panel.marks.map(marks => [signs[marks.symbol] ?? "◆", marks]))
    const lines = [`<b>${panel.title}</b>`]
    let used = panel.title.length * LETTER * 1.1
    for (const [sign, key] of keys.length > 1 ? keys : []) {
      const text = `<span style="color:${colour(key.colour)}">${sign} ${key.name}</span>`
      const wide = (key.name.length + 5) * LETTER
      if (used + wide > width) {
        lines.push(text)
        used = wide
      } else {
        lines[lines.length - 1] += `   ${text}`
        used += wide
      }
    }
    return lines
  }

  async draw() {
    const config = {
      displaylogo: false,
      showTips: false,
      displayModeBar: this.box.clientWidth < 600 ? matchMedia("(pointer: coarse)").matches : "hover",
      responsive: true,
      modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
    }
    await Plotly.react(this.box, this.traces(this.range), this.layout(this.range), config)
  }

  async start() {
    this.box.hidden = false
    await this.draw()
    this.box.closest(".linked").classList.add("drawn")
    this.box.on("plotly_relayout", change => this.follow(change))
    this.box.on("plotly_doubleclick", () => this.show(this.whole))
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw())
  }

  // After a zoom: draw what is visible anew, as finely as the pixels allow.
  follow(change) {
    if (!Object.keys(change).some(key => key.startsWith("xaxis."))) return
    this.show(change["xaxis.autorange"] ? this.whole : this.box.layout.xaxis.range.map(moment))
  }

  show(range) {
    this.range = range
    this.draw()
  }
}

const sortable = table => {
  table.querySelectorAll("thead th").forEach((head, column) => {
    const button = document.createElement("button")
    button.append(...head.childNodes)
    head.append(button)
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "descending"
      table.querySelectorAll("thead th").forEach(each => each.removeAttribute("aria-sort"))
      head.setAttribute("aria-sort", down ? "ascending" : "descending")
      const value = row => {
        const text = row.cells[column].textContent
        const number = Number.parseFloat(text.replaceAll(",", "").replace("−", "-"))
        return Number.isNaN(number) || /^\d+-\d/.test(text) ? text : number
      }
      const rows = [...table.tBodies[0].rows]
      const order = (a, b) => typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "string" ? -1 : 1
      rows.sort((a, b) => order(value(a), value(b)) * (down ? 1 : -1))
      table.tBodies[0].append(...rows)
    })
  })
}

const start = async () => {
  document.querySelectorAll("table.sortable").forEach(sortable)
  const box = document.querySelector(".live")
  if (!box || typeof DecompressionStream === "undefined") return
  const library = document.createElement("script")
  library.textContent = await unpack("plotly")
  document.head.append(library)
  await new Chart(box, JSON.parse(await unpack("chart-data"))).start()
  document.querySelector(".hint").hidden = matchMedia("(pointer: coarse)").matches
}
start()
