"""The pictures of where-your-token-goes.md: where the value of a token is, for each way to pass it on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tools.drawing import GREY, RED, arrow, box, frame, node, text


@dataclass(frozen=True)
class Picture:
    """Where the value of a token is, for one way to pass it on and one kind of place."""

    name: str
    title: str
    place: str
    """What the place is, in the words under its name."""
    way: Callable[[], list[str]]
    """What draws the way."""
    about: str
    """What the picture shows, for those who can't see it."""
    around: str = "the place"
    """What the box around the agent is called."""


def drawn() -> dict[str, str]:
    """Return each picture's SVG by the name of its file."""
    return {f"token-{picture.name}.svg": draw(picture) for picture in PICTURES}


def draw(picture: Picture) -> str:
    """Return a picture as SVG."""
    body = [box((20, 46, 330, 224), "#f6f8fa", "#9aa4ae"), text(32, 68, "this machine", bold=True)]
    body += [
        box((430, 46, 150, 224), "#fff7ed", "#ea8a2f", dash=True),
        text(442, 68, picture.around, bold=True),
        text(442, 258, picture.place, small=True),
        *picture.way(),
    ]
    body += _legend(has_token=any(RED in part for part in body))
    return frame(picture.name, picture.title, picture.about, body)


def _by_environment() -> list[str]:
    return [
        *_found(),
        *_agent(has_token=True),
        arrow("M200 215 H505 V148", RED),
        text(216, 233, "its environment", small=True),
        arrow("M564 115 H618", RED),
        *_api(),
    ]


def _by_gateway() -> list[str]:
    return [
        *_found(),
        *_agent(),
        *_node(222, 84, "gateway", "in its memory alone", width=112, has_token=True),
        *_stand_in(),
        arrow("M200 200 H278 V148", RED),
        arrow("M278 84 V26 H678 V82", RED),
        *_api(),
    ]


def _by_host() -> list[str]:
    return [
        *_node(36, 84, "where you gave it", "Docker's store, your shell", has_token=True),
        *_node(36, 186, "your program", "ccnb, no token needed"),
        *_agent(),
        *_node(222, 84, "Docker's proxy", "adds the token", width=112, has_token=True),
        arrow("M200 115 H220", RED),
        arrow("M446 115 H336", GREY),
        text(354, 107, "its only way", small=True),
        arrow("M278 84 V26 H678 V82", RED),
        *_api(),
    ]


def _by_secret() -> list[str]:
    return [
        *_found(),
        *_agent(has_token=True),
        *_node(446, 176, "a secret", "of the app", width=118, has_token=True),
        arrow("M200 215 H444", RED),
        text(216, 233, "the Machines API", small=True),
        arrow("M505 176 V148", RED),
        arrow("M564 115 H618", RED),
        *_api(),
    ]


def _by_nobody() -> list[str]:
    return [
        *_node(36, 186, "your program", "ccnb, no token needed"),
        *_agent(),
        *_node(222, 84, "gateway", "answers by itself", width=112),
        *_stand_in(),
    ]


def _found() -> list[str]:
    """Return where the token is found, and by whom."""
    return [
        *_node(36, 84, "where it lies", ".env, keychain, ~/.claude", has_token=True),
        *_node(36, 186, "your program", "ccnb, while a run starts", has_token=True),
        arrow("M118 146 V184", RED),
    ]


def _stand_in() -> list[str]:
    """Return the agent's way to the gateway, and what it is let in by."""
    return [
        arrow("M446 115 H336", GREY),
        text(354, 107, "a socket", small=True),
        arrow("M200 215 H460 V148", GREY),
        text(216, 233, "a stand-in, good for this run", small=True),
    ]


def _agent(*, has_token: bool = False) -> list[str]:
    return _node(446, 84, "agent", "claude", width=118, has_token=has_token)


def _api() -> list[str]:
    return _node(620, 84, "the API", "api.anthropic.com", width=124, has_token=True)


def _legend(*, has_token: bool) -> list[str]:
    if not has_token:
        return [text(24, 295, "no value of a token anywhere", small=True)]
    return [
        f'<circle cx="30" cy="290" r="7" fill="{RED}"/>',
        text(44, 295, "its value is here", small=True),
    ]


def _node(x: int, y: int, name: str, about: str, *, width: int = 164, has_token: bool = False) -> list[str]:
    return node(x, y, name, about, width=width, color=RED if has_token else "#6b7280")


_INSIDE = "The token is found on this machine, given to the agent's environment, and sent to the API."
_OUTSIDE = "The token stays on this machine: the gateway adds it to what the agent asks by a socket."
_INJECTED = "The token lies where Docker has it: its proxy adds it to what the agent asks."
_FAR = "The token is found here, made a secret of the app, given to the agent's environment, and sent on."
_NOWHERE = "The agent holds a stand-in and asks the gateway, which answers by itself."

PICTURES = (
    Picture("env-container", "auth=env, docker and podman", "a container", _by_environment, _INSIDE),
    Picture("env-local", "auth=env, local", "behind bubblewrap", _by_environment, _INSIDE),
    Picture("gateway-container", "auth=gateway, docker and podman", "a container", _by_gateway, _OUTSIDE),
    Picture("gateway-local", "auth=gateway, local", "behind bubblewrap", _by_gateway, _OUTSIDE),
    Picture("host-sandbox", "auth=host, sandbox", "a microVM", _by_host, _INJECTED),
    Picture("secret-fly", "auth=secret, fly", "the app's machine", _by_secret, _FAR, around="Fly.io"),
    Picture("no-token", "a script or a cassette, any mode", "any mode", _by_nobody, _NOWHERE),
)
