"""Draw the pictures of where-your-token-goes.md; run as a script, it writes them beside itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
RED, GREY = "#dc2626", "#444"


@dataclass(frozen=True)
class Picture:
    """Where the value of a token is, for one way to pass it on and one kind of place."""

    name: str
    title: str
    place: str
    """What the place is, in the words under its name."""
    through_gateway: bool
    in_place: bool
    real_model: bool = True

    @property
    def about(self) -> str:
        """Return what the picture shows, for those who can't see it."""
        if not self.real_model:
            return "The agent holds a stand-in and asks the gateway, which answers by itself."
        if self.in_place:
            return (
                "The token is found on this machine, given to the agent's environment, and sent to the API."
            )
        return "The token stays on this machine: the gateway adds it to what the agent asks by a socket."


PICTURES = (
    Picture("env-container", "auth=env, docker and podman", "a container", False, True),
    Picture("env-local", "auth=env, local", "behind bubblewrap", False, True),
    Picture("gateway-container", "auth=gateway, docker and podman", "a container", True, False),
    Picture("gateway-local", "auth=gateway, local", "behind bubblewrap", True, False),
    Picture("no-token", "a script or a cassette, any mode", "any mode", True, False, False),
)


def draw(picture: Picture) -> str:
    """Return a picture as SVG."""
    body = [_box((20, 46, 330, 224), "#f6f8fa", "#9aa4ae"), _text(32, 68, "this machine", bold=True)]
    body += [
        _box((430, 46, 150, 224), "#fff7ed", "#ea8a2f", dash=True),
        _text(442, 68, "the place", bold=True),
    ]
    body += [_text(442, 258, picture.place, small=True)]
    if picture.real_model:
        body += _node(36, 84, "where it lies", ".env, keychain, ~/.claude", has_token=True)
        body += _node(36, 186, "your program", "ccnb, while a run starts", has_token=True)
        body += [_arrow("M118 146 V184", RED)]
    else:
        body += _node(36, 186, "your program", "ccnb, no token needed")
    body += _node(446, 84, "agent", "claude", width=118, has_token=picture.in_place)
    body += _ways(picture)
    return _frame(picture, body)


def _ways(picture: Picture) -> list[str]:
    """Return the gateway and the API, as far as they have a part, and what goes between all of them."""
    ways: list[str] = []
    if picture.in_place:
        ways += [_arrow("M200 215 H505 V148", RED), _text(216, 233, "its environment", small=True)]
        ways += [_arrow("M564 115 H618", RED)]
    if picture.through_gateway:
        does = "in its memory alone" if picture.real_model else "answers by itself"
        ways += _node(222, 84, "gateway", does, width=112, has_token=picture.real_model)
        ways += [_arrow("M446 115 H336", GREY), _text(354, 107, "a socket", small=True)]
        ways += [
            _arrow("M200 215 H460 V148", GREY),
            _text(216, 233, "a stand-in, good for this run", small=True),
        ]
        if picture.real_model:
            ways += [_arrow("M200 200 H278 V148", RED), _arrow("M278 84 V26 H678 V82", RED)]
    if picture.real_model:
        ways += _node(620, 84, "the API", "api.anthropic.com", width=124, has_token=True)
    return ways


def _frame(picture: Picture, body: list[str]) -> str:
    names = picture.name
    head = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 310" font-family="system-ui, sans-serif" '
        f'font-size="14" role="img" aria-labelledby="{names}-title {names}-about">'
    )
    legend = [
        f'<circle cx="30" cy="290" r="7" fill="{RED}"/>',
        _text(
            44 if picture.real_model else 24,
            295,
            "its value is here" if picture.real_model else "no value of a token anywhere",
            small=True,
        ),
    ]
    lines = [
        head,
        f'<title id="{names}-title">{picture.title}</title>',
        f'<desc id="{names}-about">{picture.about}</desc>',
        "<defs>",
        *(_tip(color) for color in (RED, GREY)),
        "</defs>",
        '<rect width="760" height="310" rx="8" fill="#fff"/>',
        *body,
        *(legend if picture.real_model else legend[1:]),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _tip(color: str) -> str:
    return (
        f'<marker id="tip-{color[1:]}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0 0 L10 5 L0 10 z" fill="{color}"/></marker>'
    )


def _node(x: int, y: int, name: str, about: str, *, width: int = 164, has_token: bool = False) -> list[str]:
    middle = x + width // 2
    mark = [f'<circle cx="{x + width}" cy="{y}" r="7" fill="{RED}"/>'] if has_token else []
    return [
        _box((x, y, width, 62), "#fff", RED if has_token else "#6b7280"),
        f'<text x="{middle}" y="{y + 27}" text-anchor="middle" fill="#111">{name}</text>',
        f'<text x="{middle}" y="{y + 46}" text-anchor="middle" fill="#555" font-size="10.5">{about}</text>',
        *mark,
    ]


def _box(area: tuple[int, int, int, int], fill: str, stroke: str, *, dash: bool = False) -> str:
    x, y, width, height = area
    dashes = ' stroke-dasharray="6 4"' if dash else ""
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="7" fill="{fill}" '
        f'stroke="{stroke}"{dashes}/>'
    )


def _text(x: int, y: int, text: str, *, bold: bool = False, small: bool = False) -> str:
    style = ' font-weight="600" fill="#333"' if bold else ' fill="#555" font-size="12"' if small else ""
    return f'<text x="{x}" y="{y}"{style}>{text}</text>'


def _arrow(path: str, color: str) -> str:
    end = f"url(#tip-{color[1:]})"
    return f'<path d="{path}" fill="none" stroke="{color}" stroke-width="1.6" marker-end="{end}"/>'


if __name__ == "__main__":
    for one in PICTURES:
        (HERE / f"token-{one.name}.svg").write_text(draw(one))
