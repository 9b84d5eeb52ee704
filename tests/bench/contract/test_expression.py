"""Method expressions: what they mean, and what a mistake in one gets."""

from __future__ import annotations

import inspect

import pytest

from bench.contract.composition import build_method
from bench.contract.discovery import methods
from bench.contract.expression import at_inference, parse_method
from bench.contract.signature import needed_sources, signature
from bench.errors import UserError
from bench.spec.run import readable


def test_settings_are_filled_in_and_order_is_kept():
    first, second = parse_method("diffaugment + disp(prior=effnet_lite0, prior_size=96)")
    assert (first.name, second.name) == ("diffaugment", "disp")
    assert second.settings == {"prior": "effnet_lite0", "prior_size": 96, "scale": "rms", "sampling": "mix"}
    assert parse_method("disp") == parse_method(" disp( ) ") == parse_method("disp(prior=vgg16)")
    assert parse_method("disp(scale=4)") != parse_method("disp")


@pytest.mark.parametrize("name", [entry.name for entry in methods()])
def test_what_the_source_says_is_what_the_class_says(name):
    """Settings are read from the syntax tree; the imported class must agree with them."""
    entry = methods().entry(name)
    read = signature(entry.target)
    part = methods().load(name)
    own = part.__init__ is not object.__init__
    arguments = list(inspect.signature(part).parameters.values()) if own else []
    assert read.settings == {one.name: one.default for one in arguments}
    assert (read.version, read.sources, read.later) == (part.version, part.sources, part.later)
    assert (read.needs_labels, read.of_sampler) == (part.needs_labels, part.of_sampler)
    assert {*read.later, *read.of_sampler} <= set(read.settings)
    built = build_method(parse_method(name))
    assert [type(one) for _, one in built.parts] == [part]


def test_a_setting_that_came_later_leaves_older_identities_alone(load_plugin):
    """At its default it is not in the spec, so a run from before it has the same uid; otherwise it is."""
    text = """from bench.train import Method

class Grows(Method):
    later = ("point",)

    def __init__(self, *, weight: float = 1.0, point: str = "raw") -> None:
        self.weight, self.point = weight, point
"""
    load_plugin(text)
    (plain,), (moved,) = parse_method("grows"), parse_method("grows(point=augmented)")
    assert plain.settings == {"weight": 1.0}
    assert moved.settings == {"weight": 1.0, "point": "augmented"}
    assert parse_method("grows(point=raw)") == (plain,)
    assert [part.point for _, part in build_method((plain, moved)).parts] == ["raw", "augmented"]


def test_settings_of_inference_have_other_values_without_another_training():
    parts = parse_method("diffaugment + disp(prior=simclr)")
    assert at_inference(parts, {}) == parts
    assert at_inference(parts, {"sampling": "gmm-9"}) == parse_method(
        "diffaugment + disp(prior=simclr, sampling=gmm-9)"
    )
    assert at_inference(parts, {"sampling": "mix"}) == parts == parse_method("diffaugment + disp(prior=simclr)")


def test_a_setting_of_inference_that_came_later_is_left_out_at_its_default(load_plugin):
    load_plugin(
        """from bench.train import Method

class Draws(Method):
    later = ("spread",)
    of_sampler = ("spread",)

    def __init__(self, *, spread: float = 1.0) -> None:
        pass
"""
    )
    plain, wide = parse_method("draws"), parse_method("draws(spread=2)")
    assert at_inference(plain, {"spread": 2}) == wide and at_inference(wide, {"spread": 1}) == plain


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("unconditional", {"sampling": "pure"},
         "method 'unconditional' has no setting 'sampling' that it uses at inference alone; it has none"),
        ("diffaugment + disp", {"prior": "simclr"},
         "method 'diffaugment + disp' has no setting 'prior' that it uses at inference alone; known: sampling"),
        ("disp", {"sampling": 3}, "method 'disp': sampling is 3, must be str"),
    ],
)  # fmt: skip
def test_what_cannot_be_sampled_otherwise_says_why(method, settings, message):
    with pytest.raises(UserError) as caught:
        at_inference(parse_method(method), settings)
    assert str(caught.value) == message


def test_sources_depend_on_settings():
    assert needed_sources(parse_method("disp")) == ()
    assert needed_sources(parse_method("disp(prior=simclr)")) == ("simclr",)
    assert needed_sources(parse_method("freezed + disp(prior=simclr)")) == ("network", "simclr")


def test_readable_names_the_prior():
    assert readable(parse_method("diffaugment + disp(prior=simclr)")) == "diffaugment+disp-simclr"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("difaugment", "unknown method 'difaugment'; did you mean 'diffaugment'?"),
        ("", "cannot read ''"),
        ("disp +", "cannot read ''"),
        ("disp(", "cannot read"),
        ("disp(prior=vgg16", "cannot read"),
        ("disp)(", "cannot read"),
        ("DISP", "cannot read 'DISP'"),
        ("disp + disp(prior=simclr)", "'disp' is given twice"),
        ("disp(vgg16)", "'vgg16' of 'disp' must be setting=value"),
        ("disp(piror=vgg16)", "no setting 'piror'; did you mean 'prior'?"),
        ("disp(prior={)", "the value is not YAML"),
        ("disp(prior=3)", "prior is 3, must be str"),
        ("lt(pool=large)", "pool is 'large', must be int"),
        ("disp(prior_size=2.5)", "prior_size is 2.5, must be int"),
        ("disp(prior_size=true)", "prior_size is True, must be int"),
        ("disp(prior=null)", "prior is None, must be str"),
        ("baseline(norm=.inf)", "norm is inf, must be finite"),
        ("baseline(norm=[1])", "must be float or str"),
    ],
)
def test_mistake_is_one_line_that_names_it(text, message):
    with pytest.raises(UserError) as caught:
        parse_method(text)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_exponents_are_numbers():
    """YAML 1.1 reads 1e-3 as text."""
    assert parse_method("simclr(lr=1e-3)")[0].settings["lr"] == 0.001


@pytest.mark.parametrize("text", ["baseline(norm=-1)", "baseline(norm=huge)", "disp(sampling=mixed)"])
def test_value_that_the_method_refuses_is_a_users_mistake(text):
    with pytest.raises(UserError):
        build_method(parse_method(text))


def test_two_parts_that_claim_one_hook_are_named():
    with pytest.raises(UserError, match="'baseline' and 'disp' both claim the hook 'condition'"):
        build_method(parse_method("baseline + disp"))


def test_plugin_settings_are_read_from_its_class(load_plugin):
    load_plugin(
        "from bench.train import Method\n"
        "class MyTrick(Method):\n"
        "    version = 4\n"
        "    sources = {'network': 'warm=True'}\n"
        "    def __init__(self, *, warm: bool = False, rate: float = 0.5): pass\n"
    )
    (part,) = parse_method("my-trick(rate=2)")
    assert (part.version, part.settings) == (4, {"warm": False, "rate": 2})
    assert needed_sources(parse_method("my-trick(warm=true)")) == ("network",)
    with pytest.raises(UserError, match="warm is 3, must be bool"):
        parse_method("my-trick(warm=3)")


def test_plugin_with_positional_settings_is_refused(load_plugin):
    load_plugin("from bench.train import Method\nclass Odd(Method):\n    def __init__(self, rate): pass\n")
    with pytest.raises(UserError, match="'odd': settings must be keyword-only arguments with defaults"):
        parse_method("odd")


MIRROR = """from bench.train import Method

class Mirror(Method):
    def augment(self, ctx, images_NCHW):
        return images_NCHW.flip(3)
"""


def test_the_source_of_a_part_from_outside_is_in_its_identity(load_plugin):
    """An edited plug-in is another run; a comment, an empty line or another place of the file is not."""
    load_plugin(MIRROR)
    (first,) = parse_method("mirror")
    assert first.source is not None and parse_method("disp")[0].source is None
    load_plugin(MIRROR.replace("flip(3)", "flip(2)"))
    (edited,) = parse_method("mirror")
    assert edited.source != first.source
    load_plugin("# what it does\n" + MIRROR.replace("flip(3)", "flip(3)  # left and right\n"))
    assert parse_method("mirror") == (first,)


def test_a_part_that_was_edited_since_the_plan_is_refused(load_plugin):
    load_plugin(MIRROR)
    planned = parse_method("mirror")
    load_plugin(MIRROR.replace("flip(3)", "flip(2)"))
    with pytest.raises(UserError, match=r"'mirror': its source \(.*mine\.py.*\) is not the one .* planned"):
        build_method(planned)
