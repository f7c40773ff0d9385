"""Directives of this documentation: byte pictures from the Rust sources, and charts of the records."""

import html
import json
import re
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive, directives

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "rust" / "core" / "src"
RECORDS = ROOT / "benches" / "record"
PICTURE = re.compile(r"^ *//[/!] ```text\n(.*?)^ *//[/!] ```$", re.MULTILINE | re.DOTALL)


def byte_pictures(source: str) -> list[str]:
    """Return the pictures that the comments of a Rust file draw."""
    return [re.sub(r"^ *//[/!] ?", "", found, flags=re.MULTILINE) for found in PICTURE.findall(source)]


class RustPicture(Directive):
    """Show a byte picture of a Rust source: the file, and which of its pictures if there are several."""

    required_arguments = 1
    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the picture and its origin."""
        path = SOURCES / self.arguments[0]
        self.state.document.settings.record_dependencies.add(str(path))
        number = int(self.arguments[1]) if len(self.arguments) > 1 else 0
        text = byte_pictures(path.read_text(encoding="utf-8"))[number].rstrip("\n")
        picture = nodes.literal_block(text, text, language="none", classes=["byte-picture"])
        origin = nodes.paragraph(classes=["origin"])
        origin += nodes.Text("rust/core/src/" + self.arguments[0])
        return [picture, origin]


def speed(record, options):
    """Return bars: how many times as fast fastcodes is as the best other contestant, by comparison."""
    against = {}
    for line in record["lines"]:
        if line["contestant"].startswith("fastcodes") and line["against"] and line["ratio"]:
            family = re.split(r"[ .,]", line["group"])[0]
            rows = against.setdefault(family, [])
            name = line["group"] + line["contestant"].removeprefix("fastcodes")
            rows.append([name, line["against"], line["ratio"], line["billions_per_second"], line["unit"]])
    return {"kind": "bars", "groups": against, "label": "times as fast, logarithmic"}


def scatter(record, options):
    """Return points by contestant, codec and data."""
    x, y, select = options["x"], options["y"], options.get("select")
    groups = {}
    for line in record["lines"]:
        setting = line.get("size", line.get("setting", ""))
        name = f"{line['by']}: {line['codec']}"
        label = f"{name}, {setting}"
        points = groups.setdefault(line[select] if select else "all", {}).setdefault(name, [])
        points.append([line[x], line[y], label])
    return {"kind": "points", "groups": groups, "x": x, "y": y}


def curves(record, options):
    """Return the quality of coded pictures by bits per pixel."""
    column = {"PSNR": 1, "MS-SSIM, decibels": 3}
    groups = {
        name: {
            codec: [[point[0], point[at], codec] for point in points]
            for codec, points in record["curves"].items()
        }
        for name, at in column.items()
    }
    return {"kind": "points", "groups": groups, "x": "bits per pixel", "y": "decibels"}


def networks(record, options):
    """Return the accuracy after each epoch, the first seed of each run."""
    groups = {}
    for run in record["runs"]:
        data, network, kind, seed = run["key"][:4]
        if seed == 0 and run.get("curve"):
            points = [[epoch + 1, accuracy, kind] for epoch, accuracy in enumerate(run["curve"])]
            groups.setdefault(f"{data}, {network}", {})[str(kind)] = points
    return {"kind": "points", "groups": groups, "x": "epoch", "y": "accuracy"}


def bars(record, options):
    """Return one bar for each line of a record."""
    rows = [[line["name"], "", line[options["x"]], None, ""] for line in record["lines"]]
    return {"kind": "bars", "groups": {"all": rows}, "label": options["x"], "linear": True}


CHARTS = {"speed": speed, "scatter": scatter, "curves": curves, "networks": networks, "bars": bars}


class RecordChart(Directive):
    """Draw a record: its name without the suffix, and the kind of chart."""

    required_arguments = 2
    option_spec = {  # noqa: RUF012  (docutils reads it from the class)
        "x": directives.unchanged,
        "y": directives.unchanged,
        "select": directives.unchanged,
        "title": directives.unchanged,
        "log": directives.flag,
        "scattered": directives.flag,
    }

    def run(self) -> list[nodes.Node]:
        """Return the chart, whose numbers are part of the page."""
        name, kind = self.arguments
        path = RECORDS / f"{name}.json"
        self.state.document.settings.record_dependencies.add(str(path))
        record = json.loads(path.read_text(encoding="utf-8"))
        chart = CHARTS[kind](record, self.options)
        chart["log"] = "log" in self.options
        chart["lines"] = "scattered" not in self.options
        origin = f"{record['machine']['cpu']}, {record['date']}: benches/record/{name}.json"
        data = json.dumps(chart, separators=(",", ":")).replace("</", "<\\/")
        page = (
            f'<figure class="record-chart" aria-label="{html.escape(self.options.get("title", name))}">'
            f'<script type="application/json">{data}</script>'
            f"<figcaption>{html.escape(origin)}</figcaption></figure>"
        )
        return [nodes.raw("", page, format="html")]


def setup(app):
    """Register the directives."""
    app.add_directive("rust-picture", RustPicture)
    app.add_directive("record-chart", RecordChart)
    app.add_js_file("charts.js", loading_method="defer")
    return {"parallel_read_safe": True}
