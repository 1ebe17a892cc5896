"""The pictures of the modes' pages: where the token, the files and the log of a run go."""

from __future__ import annotations

from dataclasses import dataclass

from tools.drawing import BLUE, GREEN, GREY, RED, arrow, box, frame, node, text


@dataclass(frozen=True)
class Picture:
    """Where things go in one mode, as it is by default."""

    mode: str
    place: str
    """What the place is, in the words under its name."""
    inside: str
    """How the place sees the run folder."""
    workspace: str
    """How the place sees the workspace."""
    shared: str
    """By what the place sees these two."""
    injected: bool = False
    """Whether a proxy beside the place adds the token."""

    @property
    def about(self) -> str:
        """Return what the picture shows, for those who can't see it."""
        token = (
            "Docker's proxy adds the token outside the place"
            if self.injected
            else "The token goes from this machine into the environment of the agent and to the API"
        )
        return (
            f"{token}. The workspace is a folder of this machine that the place sees, {self.shared}. "
            "The supervisor writes the log to the run folder, and your program reads that into the store."
        )


PICTURES = (
    Picture("docker", "a container of Docker", "/ccnb", "/workspace", "mounted"),
    Picture("podman", "a container of Podman", "/ccnb", "/workspace", "mounted"),
    Picture("local", "behind bubblewrap", "/ccnb", "/workspace", "bound"),
    Picture("sandbox", "a microVM", "at its own path", "at its own path", "shared", injected=True),
)


def drawn() -> dict[str, str]:
    """Return each picture's SVG by the name of its file."""
    return {f"place-{picture.mode}.svg": draw(picture) for picture in PICTURES}


def draw(picture: Picture) -> str:
    """Return a picture as SVG."""
    body = [
        box((20, 46, 334, 324), "#f6f8fa", "#9aa4ae"),
        text(32, 68, "this machine", bold=True),
        box((430, 46, 170, 324), "#fff7ed", "#ea8a2f", dash=True),
        text(442, 68, "the place", bold=True),
        text(442, 362, picture.place, small=True),
        *_token(picture),
        *_files(picture),
        *_log(picture),
        *_legend(),
    ]
    title = f"Where things go in mode {picture.mode}"
    return frame(f"place-{picture.mode}", title, picture.about, body, height=410)


def _token(picture: Picture) -> list[str]:
    api = node(630, 84, "the API", "api.anthropic.com", width=114, color=RED)
    if picture.injected:
        return [
            *node(36, 84, "the token", "given to Docker", width=130, color=RED),
            *node(36, 186, "your program", "has no token", width=130),
            *node(206, 84, "Docker's proxy", "adds the token", width=134, color=RED),
            *node(446, 84, "agent", "has no token", width=118),
            *api,
            arrow("M166 115 H204", RED),
            arrow("M446 115 H342", GREY),
            arrow("M273 84 V26 H687 V82", RED),
        ]
    return [
        *node(36, 84, "the token", "where it lies", width=130, color=RED),
        *node(36, 186, "your program", "while a run starts", width=130, color=RED),
        *node(446, 84, "agent", "claude", width=118, color=RED),
        *api,
        arrow("M101 146 V184", RED),
        arrow("M166 205 H186 V115 H444", RED),
        text(200, 107, "in its environment", small=True),
        arrow("M564 115 H628", RED),
    ]


def _files(picture: Picture) -> list[str]:
    return [
        *node(206, 288, "workspace", "your folder, or a copy", width=134, color=BLUE),
        *node(446, 288, "workspace", picture.workspace, width=118, color=BLUE),
        arrow("M446 319 H342", BLUE, both=True),
        text(366, 311, picture.shared, small=True),
        arrow("M564 130 H584 V319 H566", BLUE, both=True),
    ]


def _log(picture: Picture) -> list[str]:
    return [
        *node(206, 186, "run folder", "out, err, steps", width=134, color=GREEN),
        *node(446, 186, "run folder", picture.inside, width=118, color=GREEN),
        *node(36, 288, "the store", "events, times, result", width=130, color=GREEN),
        arrow("M505 146 V184", GREEN),
        arrow("M446 217 H342", GREEN),
        text(366, 209, picture.shared, small=True),
        arrow("M206 228 H168", GREEN),
        arrow("M101 248 V286", GREEN),
    ]


def _legend() -> list[str]:
    parts = []
    for x, color, words in ((30, RED, "the token"), (140, BLUE, "files"), (220, GREEN, "log")):
        parts += [f'<circle cx="{x}" cy="390" r="7" fill="{color}"/>', text(x + 14, 395, words, small=True)]
    return parts
