"""The pictures of where-your-token-goes.md: where the value of a token is, for each way to pass it on."""

from __future__ import annotations

from dataclasses import dataclass

from tools.drawing import GREY, RED, arrow, box, frame, node, text


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


def drawn() -> dict[str, str]:
    """Return each picture's SVG by the name of its file."""
    return {f"token-{picture.name}.svg": draw(picture) for picture in PICTURES}


def draw(picture: Picture) -> str:
    """Return a picture as SVG."""
    body = [box((20, 46, 330, 224), "#f6f8fa", "#9aa4ae"), text(32, 68, "this machine", bold=True)]
    body += [
        box((430, 46, 150, 224), "#fff7ed", "#ea8a2f", dash=True),
        text(442, 68, "the place", bold=True),
        text(442, 258, picture.place, small=True),
    ]
    if picture.real_model:
        body += _node(36, 84, "where it lies", ".env, keychain, ~/.claude", has_token=True)
        body += _node(36, 186, "your program", "ccnb, while a run starts", has_token=True)
        body += [arrow("M118 146 V184", RED)]
    else:
        body += _node(36, 186, "your program", "ccnb, no token needed")
    body += _node(446, 84, "agent", "claude", width=118, has_token=picture.in_place)
    body += _ways(picture)
    body += _legend(picture)
    return frame(picture.name, picture.title, picture.about, body)


def _ways(picture: Picture) -> list[str]:
    """Return the gateway and the API, as far as they have a part, and what goes between all of them."""
    ways: list[str] = []
    if picture.in_place:
        ways += [arrow("M200 215 H505 V148", RED), text(216, 233, "its environment", small=True)]
        ways += [arrow("M564 115 H618", RED)]
    if picture.through_gateway:
        does = "in its memory alone" if picture.real_model else "answers by itself"
        ways += _node(222, 84, "gateway", does, width=112, has_token=picture.real_model)
        ways += [arrow("M446 115 H336", GREY), text(354, 107, "a socket", small=True)]
        ways += [
            arrow("M200 215 H460 V148", GREY),
            text(216, 233, "a stand-in, good for this run", small=True),
        ]
        if picture.real_model:
            ways += [arrow("M200 200 H278 V148", RED), arrow("M278 84 V26 H678 V82", RED)]
    if picture.real_model:
        ways += _node(620, 84, "the API", "api.anthropic.com", width=124, has_token=True)
    return ways


def _legend(picture: Picture) -> list[str]:
    if not picture.real_model:
        return [text(24, 295, "no value of a token anywhere", small=True)]
    return [
        f'<circle cx="30" cy="290" r="7" fill="{RED}"/>',
        text(44, 295, "its value is here", small=True),
    ]


def _node(x: int, y: int, name: str, about: str, *, width: int = 164, has_token: bool = False) -> list[str]:
    return node(x, y, name, about, width=width, color=RED if has_token else "#6b7280")
