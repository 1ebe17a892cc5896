"""No secret shows, wherever it stands and however it is spelled."""

from __future__ import annotations

import copy
import json
import pickle
import time
from datetime import UTC, datetime
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ccnb.errors import SpecError
from ccnb.redact import MASK, Redactor, Secret
from ccnb.stream import parse

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TOKEN = "sk-ant-oat01-" + "Ab3_x-" * 12

# Letters that no mask has, so that what is found in an output is the secret and not the mask beside it.
secrets = st.text(
    st.sampled_from("xyzXYZ0123456789_-=+/&%$ \"'\\\n\t\x1bäß€😀"), min_size=8, max_size=24
).filter(lambda value: len(set(value)) > 3)
around = st.text(st.sampled_from('ghijk \n"\\é{}:,😀'), max_size=12)


def _javascript(text):
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _all_escaped(text):
    units = text.encode("utf-16-be").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))


SPELLINGS = {
    "as it is": lambda value: value,
    "escaped once": lambda value: json.dumps(value)[1:-1],
    "escaped twice": lambda value: json.dumps(json.dumps(value)[1:-1])[1:-1],
    "escaped three times": lambda value: json.dumps(json.dumps(json.dumps(value)))[3:-3],
    "escaped once, as JavaScript does": _javascript,
    "escaped twice, as JavaScript does": lambda value: _javascript(_javascript(value)),
    "each character escaped": _all_escaped,
    "each character escaped, in capitals": lambda value: _all_escaped(value).upper().replace("\\U", "\\u"),
    "url-quoted": lambda value: quote(value, safe=""),
    "url-quoted in small letters": lambda value: "".join(
        quote(c, safe="").lower() if quote(c, safe="") != c else c for c in value
    ),
    "url-quoted, slashes left": quote,
    "form-quoted": quote_plus,
}


def strings_in(value):
    if isinstance(value, dict):
        return [s for k, v in value.items() for s in (k, *strings_in(v))]
    if isinstance(value, list):
        return [s for v in value for s in strings_in(v)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
@given(secret=secrets, before=around, after=around)
def test_a_secret_never_appears_in_redacted_text(spelling, secret, before, after):
    spelled = spelling(secret)
    redacted = Redactor([Secret(secret)]).text(f"{before}|{spelled}|{after}")
    assert spelled not in redacted
    assert secret not in redacted
    assert MASK in redacted


@pytest.mark.parametrize("ascii_only", [True, False])
@given(
    secret=secrets,
    depth=st.integers(0, 2),
    beside=st.tuples(around, around),
    place=st.sampled_from(["value", "key", "list", "deep"]),
)
def test_a_secret_in_any_json_string_is_not_in_what_is_kept(ascii_only, secret, depth, beside, place):
    text = "|".join((beside[0], secret, beside[1]))
    for _ in range(depth):
        text = json.dumps({"inner": text}, ensure_ascii=ascii_only)
    message = {
        "value": {"type": "user", "text": text},
        "key": {"type": "user", text: 1},
        "list": {"type": "user", "list": [1, text, None]},
        "deep": {"type": "user", "a": {"b": [{"c": text}]}},
    }[place]
    line = json.dumps(message, ensure_ascii=ascii_only).encode()
    event, kept = parse(line, offset=0, arrived_at=NOW, redactor=Redactor([Secret(secret)]))
    assert event.type == "user"
    assert json.loads(kept) == event.raw
    assert MASK in kept
    for spelled in (secret, json.dumps(secret)[1:-1], _javascript(secret), _javascript(_javascript(secret))):
        assert spelled not in kept
    assert not [s for s in strings_in(event.raw) if secret in s]


@given(secret=secrets, data=st.data())
def test_a_secret_in_a_line_that_is_cut_off_is_not_kept_either(secret, data):
    line = json.dumps({"type": "user", "text": secret, "more": "xyz" * 5})
    cut = data.draw(st.integers(line.index("more"), len(line) - 1))
    event, kept = parse(line[:cut].encode(), offset=0, arrived_at=NOW, redactor=Redactor([Secret(secret)]))
    assert event.type == "unparsed"
    assert json.dumps(secret)[1:-1] not in event.text
    assert MASK in kept


@given(
    value=st.recursive(st.none() | st.booleans() | around, lambda v: st.lists(v) | st.dictionaries(around, v))
)
def test_what_holds_no_secret_stays_as_it_is(value):
    redactor = Redactor([Secret("0123456789-Z")])
    assert redactor.value(value) == value
    text = json.dumps(value)
    assert redactor.text(text) == text


@given(secret=secrets, text=around)
def test_redacting_twice_changes_nothing_more(secret, text):
    redactor = Redactor([Secret(secret)])
    once = redactor.text(f"{text}{secret}{text}")
    assert redactor.text(once) == once


@given(short=st.text("xyz", min_size=6, max_size=8), before=st.text("xyz", max_size=3), after=st.text("xyz"))
def test_of_two_secrets_of_which_one_holds_the_other_no_part_is_left(short, before, after):
    long = before + short + after
    assert Redactor([Secret(short), Secret(long)]).text(f"<{long}>") == f"<{MASK}>"


@pytest.mark.parametrize("inside", ["token {} end", "https://x/?k={}&z", '{{"a": "{}"}}', "{}"])
def test_a_vendor_token_goes_even_when_nobody_told_us_its_value(inside):
    assert Redactor().text(inside.format(TOKEN)) == inside.format(MASK)


def test_a_vendor_token_behind_escapes_goes_too():
    line = json.dumps({"type": "user", "text": TOKEN}).replace("sk-ant", "\\u0073k-an\\u0074").encode()
    event, kept = parse(line, offset=0, arrived_at=NOW, redactor=Redactor())
    assert event.raw["text"] == MASK
    assert TOKEN not in json.loads(kept)["text"]


def test_what_only_looks_like_a_token_stays():
    assert Redactor().text("sk-ant-short is no token") == "sk-ant-short is no token"


def test_a_secret_of_digits_is_taken_out_of_numbers_and_the_rest_is_still_read():
    line = b'{"type": "result", "subtype": "success", "pin": 4711471147, "ratio": 0.5, "num_turns": 3}'
    event, kept = parse(line, offset=0, arrived_at=NOW, redactor=Redactor([Secret("4711471147")]))
    assert event.raw == {"type": "result", "subtype": "success", "pin": MASK, "ratio": 0.5, "num_turns": 3}
    assert "4711471147" not in kept


def test_a_secret_that_looks_like_json_does_not_break_the_line_it_stands_beside():
    redactor = Redactor([Secret('","text":"')])
    _, kept = parse(b'{"type":"user","text":"hello"}', offset=0, arrived_at=NOW, redactor=redactor)
    assert '","text":"' not in kept
    event, _ = parse(
        b'{"type":"user", "text":"a \\",\\"text\\":\\" b"}', offset=0, arrived_at=NOW, redactor=redactor
    )
    assert event.raw == {"type": "user", "text": f"a {MASK} b"}


@pytest.mark.parametrize("value", ["redact", "redacted]", "[redacted]", "[redacted]-and-more", "short", ""])
def test_a_secret_that_the_mask_would_show_or_that_blanks_words_is_refused(value):
    with pytest.raises(SpecError) as caught:
        Secret(value)
    assert value not in str(caught.value) or value in MASK


@example("pass%41word")
@example("dacted]abc")
@given(secrets)
def test_a_secret_shows_in_no_way_but_by_asking(value):
    secret = Secret(value)
    assert secret.reveal() == value
    for shown in (
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r}",
        "%s" % secret,  # noqa: UP031 - that too
        repr({"a": [secret]}),
    ):
        assert value not in shown
    assert json.dumps(secret, default=str) == f'"{MASK}"'
    with pytest.raises(TypeError):
        json.dumps(secret)


def test_secrets_are_equal_by_their_value():
    assert Secret("one-secret") == Secret("one-secret")
    assert Secret("one-secret") != Secret("two-secrets")
    assert Secret("one-secret") != "one-secret"
    assert len({Secret("one-secret"), Secret("one-secret")}) == 1


def test_a_pickle_has_no_secret_and_what_comes_back_says_so_when_it_is_used():
    secret = Secret("hunter2-hunter2")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        data = pickle.dumps({"env": secret}, protocol=protocol)
        assert b"hunter2" not in data
        back = pickle.loads(data)["env"]
        assert back.is_withheld
        assert MASK in repr(back)
        assert back != secret
        with pytest.raises(SpecError, match="give it again"):
            back.reveal()


def test_a_copy_in_this_process_is_the_secret_itself():
    secret = Secret("hunter2-hunter2")
    assert copy.copy(secret).reveal() == copy.deepcopy([secret])[0].reveal() == "hunter2-hunter2"


def test_a_withheld_secret_hides_nothing_and_does_no_harm():
    assert Redactor([Secret.withheld()]).text("as it was") == "as it was"


@pytest.mark.parametrize("evil", ["\\" * 400_000, "x\\\\\\" * 100_000, '\\"x' * 100_000, "%78" * 100_000])
def test_no_text_makes_the_search_slow(evil):
    redactor = Redactor([Secret('x\\\\"x"\\ \\xxxxxxy')])
    begun = time.process_time()
    assert redactor.text(evil) == evil
    assert time.process_time() - begun < 5  # a search that goes back and forth takes a minute at least


def test_a_secret_has_six_characters_or_more():
    assert Secret("abcdef").reveal() == "abcdef"
    with pytest.raises(
        SpecError, match=r"^a secret of 5 characters can't be kept out of outputs; use 6 or more$"
    ):
        Secret("abcde")
    with pytest.raises(
        SpecError, match=r"^a secret and the mask '\[redacted\]' can't hold each other; choose"
    ):
        Secret("redacted")


def test_a_secret_looks_the_same_whatever_it_is():
    for secret in (Secret("one-secret"), Secret.withheld()):
        assert (repr(secret), str(secret)) == ("Secret('[redacted]')", "[redacted]")
    assert not Secret("one-secret").is_withheld
    assert Secret.withheld() == Secret.withheld()
    with pytest.raises(
        SpecError, match=r"^a secret's value is never written down, so it is gone here; give it"
    ):
        Secret.withheld().reveal()


@pytest.mark.parametrize(
    "start", ["sk-ant-", "sk-ant-api03-", "sk-ant-oat01-", "sk-ant-ab12-", "sk-ant-abcdefgh12-"]
)
def test_a_token_has_sixteen_signs_or_more_behind_its_kind(start):
    redactor = Redactor()
    for signs in ("aB3_-aB3_-aB3_-a", "Z" * 200):
        assert redactor.text(f"({start}{signs})") == f"({MASK})"
    assert redactor.text(f"sk-ant-{'a' * 15}.") == f"sk-ant-{'a' * 15}."


@pytest.mark.parametrize(
    "sign", ["\n", "\t", "\r", "\b", "\f", '"', "\\", "/", " ", "é", "😀", "\x00", "\ud800"]
)
def test_each_sign_is_found_in_each_of_its_spellings(sign):
    secret = f"key{sign}{sign}-{sign}end"
    redactor = Redactor([secret])
    units = sign.encode("utf-16-be", "surrogatepass").hex()
    escape = "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))
    octets = "".join(f"%{octet:02X}" for octet in sign.encode("utf-8", "surrogatepass"))
    for spelled in (sign, json.dumps(sign)[1:-1], escape, octets, octets.lower()):
        assert redactor.text(f"<{secret.replace(sign, spelled)}>") == f"<{MASK}>"


def test_an_escaped_slash_and_a_plus_for_a_blank_are_spellings_too():
    assert Redactor(["path/of/it"]).text("<path\\/of\\/it>") == f"<{MASK}>"
    assert Redactor(["words of it"]).text("<words+of+it>") == f"<{MASK}>"
    assert Redactor(["words_of_it"]).text("<words+of+it>") == "<words+of+it>"


def test_a_pattern_in_a_secret_is_no_pattern():
    assert Redactor(["a.c*e+g?"]).text("abccceggg a.c*e+g?") == f"abccceggg {MASK}"


def test_a_part_of_a_secret_stays():
    assert Redactor(["one-long-secret"]).text("one-long") == "one-long"


def test_nothing_and_parts_of_the_mask_are_no_secrets_to_look_for():
    assert Redactor(["", "acted", "[redacted]"]).text("it acted so") == "it acted so"


def test_numbers_are_looked_at_as_json_writes_them():
    redactor = Redactor(["0.1234567", "47114711", "true-and-false"])
    given_ = {"a": 0.1234567, "b": 47114711, "c": [True, False, None, 1.5, 7], "47114711": "47114711!"}
    kept = redactor.value(given_)
    assert kept == {"a": MASK, "b": MASK, "c": [True, False, None, 1.5, 7], MASK: f"{MASK}!"}
    assert kept["c"][0] is True
    assert isinstance(kept["c"][4], int)
