"""Pages of the documentation that lie outside docs/, for mkdocs: README, CONTRIBUTING, CHANGELOG, decisions, the code.

A hook of mkdocs.yml. A link of a page is followed from where the page lies in the repository; what it names becomes a
page or a file of the site too, and a link to nothing fails the strict build.
"""

import posixpath
import re
from pathlib import Path

import griffe
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
MOVED = {"README.md": "start.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")
CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)
FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+)\$", re.DOTALL)
SOURCE = ROOT / "src" / "selfdistill"
LISTED = {".csv", ".md", ".pdf", ".png", ".tex"}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages of the code into the navigation, where mkdocs.yml has a place for them."""
    for section in config.nav:
        if "Code" in section:
            section["Code"] = [{name: f"api/{name}.md"} for name in _stages()]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in docs/, and every file and folder of the repository that a page links to."""
    texts = {MOVED[name]: (ROOT / name).read_text(encoding="utf-8") for name in MOVED}
    texts["decisions/index.md"] = _listing(ROOT / "docs/decisions", "Decisions", {".md"})
    texts |= {f"api/{stage}.md": _interface(stage, modules) for stage, modules in _stages().items()}
    waiting = {name: text for name, text in texts.items() if not name.startswith("api/")}
    waiting |= {file.src_uri: file.content_string for file in files.documentation_pages()}
    while waiting:
        name, text = waiting.popitem()
        for path in _linked(name, text):
            place = _place(path)
            if place in texts or files.get_file_from_path(place) is not None:
                continue
            if path.is_dir():
                texts[place] = waiting[place] = _listing(path, path.relative_to(ROOT).as_posix(), LISTED)
            elif path.suffix == ".md":
                texts[place] = waiting[place] = path.read_text(encoding="utf-8")
            else:
                files.append(File.generated(config, place, abs_src_path=str(path)))
    for name, text in texts.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """A page with its links as they are in the site, and its formulas as MathML, which needs no script."""
    here = page.file.src_uri
    parts = CODE.split(markdown)
    for index in range(0, len(parts), 2):  # the others are code
        linked = LINK.sub(lambda match: _link(here, match), parts[index])
        parts[index] = FORMULA.sub(_formula, linked)
    return "".join(parts)


def _formula(match: re.Match) -> str:
    if match[1]:
        return convert(match[1].replace("\n", " "), display="block")
    return f"<span>{convert(match[2])}</span>"  # at the start of a line <math> alone would begin a paragraph


def _link(here: str, match: re.Match) -> str:
    path = _target(here, match[1])
    if path is None:
        return match[0]
    return posixpath.relpath(_place(path), posixpath.dirname(here) or ".") + (match[2] or "")


def _linked(here: str, markdown: str) -> list[Path]:
    """What exists of what a page links to."""
    text = "".join(CODE.split(markdown)[::2])
    return [path for match in LINK.finditer(text) if (path := _target(here, match[1])) is not None]


def _target(here: str, link: str) -> Path | None:
    """The file or folder of the repository that a page's link means; None if there is none."""
    path = (_origin(here).parent / link).resolve()
    return path if path.exists() and path.is_relative_to(ROOT) else None


def _origin(place: str) -> Path:
    """Where a page of the site lies in the repository (a folder's page: as if in the folder)."""
    moved = {new: old for old, new in MOVED.items()}
    if place in moved:
        return ROOT / moved[place]
    return ROOT / place if place.startswith(("report/", "benchmarks/", "workflow/")) else ROOT / "docs" / place


def _place(path: Path) -> str:
    """Where a file or folder of the repository stands in the site."""
    name = path.relative_to(ROOT).as_posix()
    if name in MOVED:
        return MOVED[name]
    name = name.removeprefix("docs/")
    return f"{name}/index.md" if path.is_dir() else name


def _listing(folder: Path, title: str, suffixes: set[str]) -> str:
    """A page that links to a folder's files, by their headings where they have one."""
    lines = [f"# {title}", ""]
    for path in sorted(path for path in folder.iterdir() if path.suffix in suffixes):
        first = path.read_text(encoding="utf-8").partition("\n")[0] if path.suffix == ".md" else ""
        lines.append(f"- [{first.removeprefix('# ') if first.startswith('# ') else path.name}]({path.name})")
    return "\n".join(lines) + "\n"


def _stages() -> dict[str, list[str]]:
    """The modules of each folder of the package, and of the package itself."""
    folders = {"package": SOURCE} | {path.parent.name: path.parent for path in sorted(SOURCE.glob("*/__init__.py"))}
    return {
        name: [".".join(path.relative_to(SOURCE.parent).with_suffix("").parts) for path in sorted(folder.glob("*.py"))]
        for name, folder in folders.items()
    }


def _interface(stage: str, modules: list[str]) -> str:
    shown = [module for module in modules if not module.endswith(("__init__", "__main__"))]
    title = "selfdistill" if stage == "package" else f"selfdistill.{stage}"
    return "\n\n".join([f"# {title}", *(f"::: {module}" for module in shown)]) + "\n"


class PlainText(griffe.Extension):
    """Docstrings are prose: a `<protocol>` in them is no HTML."""

    def on_object(self, *, obj: griffe.Object, **_) -> None:
        """Escape what Markdown would take for a tag, outside of code."""
        if obj.docstring:
            parts = CODE.split(obj.docstring.value)
            parts[::2] = [part.replace("<", "&lt;").replace("[", r"\[") for part in parts[::2]]
            obj.docstring.value = "".join(parts)
