"""What a correct file is told all the same: what is off and why, and what is likely not meant."""

from pathlib import Path

import pytest

from penstock.product.adapters import ADAPTERS, TASKS, Adapter
from penstock.product.availability import availability, off_complaints
from penstock.product.colour import DARK_PAGE, LIGHT_PAGE, MIN_CONTRAST, contrast, readable
from penstock.product.loading import load_product, parse_product
from penstock.product.public import public
from tests.unit.product.samples import SAMPLE, changed, load

# The adapters as they will be once gemini is built: what its key does can be seen only then.
BUILT = {
    "local": ADAPTERS["local"],
    "gemini": Adapter(ADAPTERS["gemini"].tasks, needs_key=True, takes_prompt=True, built=True),
}


def test_a_provider_without_its_key_is_off_and_the_route_goes_on() -> None:
    states = availability(parse_product(SAMPLE), {}, BUILT)
    assert states.usable == {"local"}
    assert states.providers["gemini"].variable == "GEMINI_API_KEY"
    assert states.operations["restore"].route == ("local",)
    assert states.operations["restore"].available
    assert not states.operations["colourise"].available
    told = {complaint.path: (complaint.reason, complaint.suggestion) for complaint in off_complaints(states)}
    assert told == {
        ("providers", "gemini"): ("GEMINI_API_KEY is not set", "Set GEMINI_API_KEY to its key to switch it on."),
        ("operations", "colourise"): (
            'every provider in its route is off: "gemini"',
            "Customers see it, and can't order it.",
        ),
    }


@pytest.mark.parametrize(("key", "on"), [("", False), ("  ", False), ("k-123", True)])
def test_a_key_switches_its_provider_on(key: str, on: bool) -> None:
    states = availability(parse_product(SAMPLE), {"GEMINI_API_KEY": key}, BUILT)
    assert ("gemini" in states.usable) is on
    assert states.operations["colourise"].available is on
    assert states.operations["restore"].route == (("local", "gemini") if on else ("local",))


def test_an_adapter_that_is_not_built_stays_off_with_a_key() -> None:
    states = availability(parse_product(SAMPLE), {"GEMINI_API_KEY": "k"}, {**BUILT, "gemini": ADAPTERS["gemini"]})
    assert ("gemini" in states.usable) is ADAPTERS["gemini"].built


def test_notes_stand_on_their_lines(tmp_path: Path) -> None:
    notes = load(tmp_path, SAMPLE).notes
    assert [(note.kind, note.key, note.line) for note in notes] == [
        ("off", "providers.gemini", 77),
        ("off", "operations.colourise", 46),
    ]
    assert "GEMINI_API_KEY" in notes[0].render("rekindle.toml")


def test_every_adapter_speaks_of_known_tasks() -> None:
    for adapter in ADAPTERS.values():
        assert adapter.tasks <= TASKS.keys()
    assert {task for adapter in ADAPTERS.values() for task in adapter.tasks} == set(TASKS)


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        (
            "#b4512d",
            "#ffcc00",
            6,
            'against the light page; people need 4.5 to read it. Write "#8a6e00" for the same hue.',
        ),
        ('accent = "#b4512d"', 'accent_dark = "#222266"', 6, "against the dark page"),
        (
            "price = 3",
            'price = 3\nmax_cost_usd = "0.05"',
            52,
            'nobody knows what "gemini" costs before some calls have been measured. Set providers.gemini.cost_usd.',
        ),
        (
            'model = "gemini-nano-banana-2.1"',
            (
                'model = "gemini-nano-banana-2.1"\ncost_usd = "0.04"\n[operations.dear]\ntitle = "D"\n'
                'description = "."\ntask = "edit"\nprompt = "P"\nprice = 1\n'
                'route = [{ provider = "gemini", max_cost_usd = "0.039" }]\n'
                'inputs.picture = { kind = "picture", title = "P" }'
            ),
            88,
            'is less than one call of "gemini" costs (0.04): it is never asked',
        ),
        ("price = 2", "price = 26", 21, "costs 26 credits, but no plan and no top-up brings more than 25"),
        (
            "[providers.local]",
            '[topups.big]\ncredits = 20\nprice_usd = "20.00"\n[providers.local]',
            76,
            'topups.big.price_usd: one credit costs more than in the smaller top-up "small"',
        ),
        (
            "[topups.small]",
            '[plans.top]\ntitle = "T"\ndescription = "."\nprice_usd_month = "20.00"\nhead_start_s = 9\n[topups.small]',
            74,
            'its jobs start behind those of the cheaper plan "plus"',
        ),
        ("jobs_per_day = 10\n", "", 59, "visitors who never signed up may start any number of jobs"),
        (
            "[providers.gemini]",
            '[providers.spare]\nadapter = "local"\n\n[providers.gemini]',
            77,
            "providers.spare: no operation's route names it",
        ),
        ("timeout_s = 120", 'prompt = "x"', 23, ""),
    ],
)
def test_what_is_likely_not_meant_is_a_warning(tmp_path: Path, old: str, new: str, line: int, said: str) -> None:
    notes = [note for note in load(tmp_path, changed((old, new))).notes if note.kind == "warning"]
    if not said:
        assert notes == []  # a route with one provider that takes the prompt is enough
        return
    (note,) = notes
    assert note.line == line
    assert said in note.render("rekindle.toml")


def test_a_prompt_that_nobody_takes_is_a_warning(tmp_path: Path) -> None:
    text = changed(("timeout_s = 120", 'prompt = "x"'), ('["local", "gemini"]', '["local"]'))
    (note,) = [note for note in load(tmp_path, text).notes if note.kind == "warning"]
    assert (note.line, note.key) == (23, "operations.restore.prompt")


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)  # the textbook near miss
    assert contrast("#333333", "#ffffff") == pytest.approx(12.63, abs=0.005)
    assert contrast("#050505", "#000000") == pytest.approx(1 + 5 / 255 / 12.92 / 0.05)  # the straight part of the curve
    assert contrast("#123456", "#123456") == 1


@pytest.mark.parametrize("page", [LIGHT_PAGE, DARK_PAGE])
@pytest.mark.parametrize("colour", ["#ffcc00", "#222266", "#808080", "#ffffff", "#000000", "#00ff00", "#ff0000"])
def test_the_colour_proposed_can_be_read(colour: str, page: str) -> None:
    proposed = readable(colour, page)
    assert contrast(proposed, page) >= MIN_CONTRAST
    if contrast(colour, page) >= MIN_CONTRAST:
        assert proposed == colour


def test_an_openid_provider_without_its_secret_is_off(tmp_path: Path) -> None:
    table = '[sign_in.openid.google]\ntitle = "Google"\nissuer = "https://accounts.google.com"\nclient_id = "x"\n'
    path = tmp_path / "rekindle.toml"
    path.write_text(changed(("[uploads]", table + 'client_secret_env = "GOOGLE_SECRET"\n\n[uploads]')))

    off, on = (load_product(path, environment) for environment in ({}, {"GOOGLE_SECRET": "s"}))
    told = [note.render("f") for note in off.notes if "openid" in note.render("f")]
    buttons = [public(each.product, around)["sign_in"] for each, around in ((off, {}), (on, {"GOOGLE_SECRET": "s"}))]

    assert len(told) == 1
    assert "sign_in.openid.google: GOOGLE_SECRET is not set. Set GOOGLE_SECRET" in told[0]
    assert [each["methods"] for each in buttons] == [["password"], ["password", "openid"]]
    assert [note for note in on.notes if "openid" in note.render("f")] == []
