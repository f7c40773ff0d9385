"""Check a built site: its links, that it needs nothing from elsewhere, and the pages of public names."""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "tests" / "contract"))

import public


class Page(HTMLParser):
    """The links, the anchors and the foreign resources of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.foreign: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect what a tag refers to."""
        values = dict(attrs)
        self.anchors.update(value for key in ("id", "name") if (value := values.get(key)))
        link = values.get("href") or values.get("src")
        if not link or link.startswith(("data:", "mailto:", "javascript:")):
            return
        if urlsplit(link).scheme or link.startswith("//"):
            if tag in ("script", "img", "iframe") or (tag == "link" and values.get("rel") == "stylesheet"):
                self.foreign.append(link)
        else:
            self.links.append(link)


def problems(site: Path) -> list[str]:
    """Return what is wrong with a site, one line each."""
    pages = {path.resolve(): Page(path) for path in site.rglob("*.html") if "_static" not in path.parts}
    found = []
    for path, page in pages.items():
        name = path.relative_to(site.resolve())
        found += [f"{name}: needs {link}" for link in page.foreign]
        for link in page.links:
            parts = urlsplit(link)
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists():
                found.append(f"{name}: no {link}")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                found.append(f"{name}: no anchor {link}")
    reference = site / "api" / "generated"
    for name in public.public_names():
        if not (reference / f"fastcodes.{name}.html").exists():
            found.append(f"fastcodes.{name}: has no page in the reference")
    return found


if __name__ == "__main__":
    wrong = problems(Path(sys.argv[1]))
    sys.exit("\n".join(wrong) or None)
