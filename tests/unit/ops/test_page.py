"""What the page's own text promises, before any browser has seen it."""

import base64
import hashlib
import re
from importlib.resources import files

import pytest

from prom_faust.ops.http import content_policy

HTML = (files("prom_faust.ops") / "page.html").read_text("utf-8")


@pytest.mark.parametrize(
    "word", ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "DOMParser"]
)
def test_text_is_never_taken_for_html(word):
    assert word not in HTML


def test_nothing_is_loaded_from_elsewhere():
    assert re.findall(r"""(?:src|href)\s*=\s*["']([^"']+)""", HTML) == ["data:,"]
    assert "url(" not in HTML
    assert "@import" not in HTML


def test_nothing_is_inline_that_the_policy_would_refuse():
    assert (
        re.findall(r"\s(?:style|on[a-z]+)=", re.sub(r"<(script|style)>.*?</\1>", "", HTML, flags=re.DOTALL))
        == []
    )


def test_the_policy_allows_the_pages_own_script_and_styles_and_nothing_else():
    policy = content_policy(HTML)
    for tag in ("script", "style"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", HTML, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
