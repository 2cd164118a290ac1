"""Checks of tasks, losses, data, augments, metrics and callbacks: good toys pass, broken don't."""

import contextlib
import dataclasses
import sys
from pathlib import Path

import pytest
import torch

from ganzoo.errors import DataError, DataMissing
from ganzoo.plugin_system import discovery, registry
from ganzoo.testing import NotApplicable, Subject, cases, tasks
from ganzoo.testing.kit import CheckFailed, NotTested, Unusable
from ganzoo.testing.tiny import tiny_recipe
from ganzoo.testing.verdicts import judge

TOYS = Path(__file__).parent / "toys"
MINE = {
    "losses",
    "loss_values",
    "data",
    "augments",
    "diffaugments",
    "tasks",
    "metrics",
    "callbacks",
}
"""Modules `ganzoo.testing.checks_...` that are tried here."""

sys.path.append(str(TOYS))  # as `--plugin` does
import conformance_broken_algorithms as broken  # noqa: E402
import conformance_good_algorithms as good  # noqa: E402

RECORDS = discovery.discover(
    files=[TOYS / "conformance_good_algorithms.py", TOYS / "conformance_broken_algorithms.py"]
)
REGISTRY = registry.Registry(RECORDS)


def params(namespace):
    for case in cases(namespace, REGISTRY):
        if case.check.function.__module__.rpartition("checks_")[2] in MINE:
            marks = [pytest.mark.slow] if case.check.slow else []
            yield pytest.param(case, id=case.id, marks=marks)


def caught(namespace):
    for one in params(namespace):
        case = one.values[0]
        if broken.BREAKS.get(case.entry.id) == case.check.name:
            yield one


NOTHING_TO_SEE = {
    "check_diffaugment_observes_answers:diffaugment dim": "doesn't adapt to answers",
    **{
        f"{name}:data {toy}": reason
        for toy in ("squares", "points", "unpaired")
        for name, reason in (
            ("check_data_arrays", "it offers no `arrays`"),
            ("check_data_metrics", "it adds no metrics"),
        )
    },
    **{
        f"check_task_players_begin_later:task {toy}": "no player of optional roles alone"
        for toy in ("duel", "cloud", "cycle", "spots")
    },
    **{
        f"check_task_compares_only_pairs:task {toy}": "no two fields, or says that they are pairs"
        for toy in ("cloud", "duel")
    },
    **{
        f"check_task_classes:task {toy}": "has networks that take classes"
        for toy in ("duel", "cycle")
    },
    **{
        f"check_loss_anneals:loss {name}": "no option of type Scalar"
        for name in ("cross_entropy", "features", "penalised", "relativistic", "drift", "margin")
    },
}


@pytest.mark.parametrize("case", list(params("conformance_good_algorithms")))
def test_good_toys_pass(case, tmp_path):
    reason = NOTHING_TO_SEE.get(case.id.replace("conformance_good_algorithms/", ""))
    if reason:
        with pytest.raises(NotApplicable, match=reason):
            case(tmp_path)
    else:
        case(tmp_path)


SAYS = {
    "alone_for_good": "'discriminator' has begun, and ['discriminator'] stands still",
    "off_chance": "where it says that the discriminator decides",
    "two_masters": "moved by two players, 'discriminator' and 'judge'",
    "gullible": "takes a class index for the image 'source'",
    "leaky": "leaves gradients on weights that aren't its own",
    "ownerless": "no player moves second: should one, in `players`?",
    "gives_the_unknown": "gives 'fake', which is neither one of the data's fields nor an output",
    "shows_bytes": "and fields lie in [-1, 1]",
    "counts_batches": "never had a turn: ['discriminator']",
    "shown_detached": "logits don't depend on the fake",
    "restless": "something else under the same seed, in ['generated']",
    "gregarious": "changes with the others in its batch",
    "forgetful": "after a resume",
    "past_the_wrapper": "weights of generator differ after step 2",
    "distracted": "the generator's loss goes from",
    "self_moved": "such as ['generator.0.bias']): leave them to `optimize(player, terms)`",
    "unnamed": "ship one (the hook ganzoo_recipes)",
    "of_nothing": "the term generator/far is",
    "single_precision": "in fp64 it fails",
    "reseeds": "a step seeds torch's global random generator",
    "lopsided": "nothing has moved the weights of ['second']",
    "compares": "its terms change when the rows of 'target' come in another order",
    "clips": "such as ['discriminator.0.0.bias']): leave them to `optimize(player, terms)`",
    "draws_nothing": "draws no inputs for 'sample'",
    "draws_too_few": "of noise, but",
    "draws_anywhere": "it draws from a global random generator: `random` is the only source",
    "three_classes": "says 3 classes where the data have 4",
    "one_class": "the application 'sample' makes the same of every class",
    "unreduced": "the term discriminator/real has the shape",
    "wrong_sign": "the generator's loss goes from",
    "shapeless": "it can't be computed: ValueError('compares samples of 9 axes')",
    "mute": "it gives no terms in any turn",
    "scales_apart": "where the discriminator has {'scales': 3}, the discriminator's turn fails",
    "severed": "no gradient of the term generator/gan reaches the fake or its logits",
    "half_severed": "no gradient of the term generator/near reaches the fake or its logits",
    "first_scale": "only some reach the generator's terms",
    "overflowing": "in the discriminator's turn, with real logits of 50 and fake ones of 50",
    "needs_company": "the term generator/gan is nan",
    "no_words": "raise a RuntimeError that says so",
    "peeks": "depend on `real_output`",
    "misstated": "'real' is 0.69314718, and should be 0.5",
    "swapped": "with another near, the generator's terms",
    "unweighted": "with another square, the generator's terms",
    "weightless": "the option near changes its terms, but not at its `known_values`",
    "half_stated": "the terms are called ['felt', 'near', 'square'], and not ['near', 'square']",
    "perceptual_misstated": "'square' is 5.625, and should be 7.5",
    "sums": "with every sample twice in the batch, discriminator/",
    "steady": "read it in each turn, as `options.weight.at(inputs.clock)`",
    "unread": "weight may be set, and changes nothing: read it, as `options.weight.at(inputs",
    "rewards_slopes": "the penalty is -",
    "fades": "it must be largest where",
    "of_its_precision": "in fp64 the discriminator's terms aren't those of fp32: 'real' is",
    "plain_known_value": "`known_values` has [{'real'",
    "single_loss": "the discriminator's turn fails in fp64",
    "rooted": "on another device than the CPU the discriminator's turn would fail",
    "transposed": "its field says (16, 16, 3)",
    "endless": "index 8 of 8 gives a sample",
    "draws_for_itself": "draws from a global random generator",
    "peeks_at_its_rng": "sample 0 draws nothing from `rng`, and changes with it",
    "namesakes": "sample 1 is called '00000', as sample 0 is",
    "namesakes_of_repeats": "with repeat = 2, sample 8 is called '00000', as sample 0 is",
    "loads_nothing": "sample 0 can't be loaded: KeyError: 'source'",
    "shares_splits": "train and val share samples",
    "doesnt_travel": "it doesn't pickle",
    "keeps_globals": "sample 0 of a loader process: 'source' isn't the same",
    "has_no_order": "sample 0 of a loader process, opened there",
    "uncounted": "is a class, and doesn't say of how many",
    "counts_from_one": "'kind' of sample 2: classes must be 0 to 2",
    "shifts_arrays": "row 0 of `arrays`, beside what load() gives: 'points' isn't the same",
    "draws_beside_arrays": "load() draws from its `rng`, and `arrays` can't",
    "wants_the_unknown": "which no recipe could",
    "draws_globally": "draws from a global random generator",
    "draws_from_a_copy": "['labels', 'source', 'target'] change with `rng`, and nothing is drawn",
    "writes_in_place": "changes the sample given to it, in ['source', 'target']",
    "makes_doubles": "image 'source' it makes float64 with 3 axes",
    "mirrors_one": "two copies of one image come out unlike",
    "mirrors_no_labels": "the label map no longer lies on its image",
    "blends_labels": "resample with nearest neighbour",
    "holds_function": "it doesn't pickle",
    "upcasts": "in torch.float64 it makes (1, 3, 16, 16) in torch.float32",
    "paints_over": "it changes the images given to it",
    "rounds": "its gradient isn't that of its values",
    "once_only": "its gradient has no gradient",
    "has_its_own": "it isn't the same under torch's seed",
    "draws_once": "all images of a batch are changed alike",
    "mixes": "with others in its batch an image moves by",
    "counts_for_itself": "it keeps what no checkpoint holds",
    "takes_points": "it takes (4, 2), which are points",
    "steady_dim": "read it in each call, as `options.weight.at(clock)`",
    "unread_dim": "weight may be set, and changes nothing: read it, as `options.weight.at(clock)`",
    "rooted_dim": "on another device than the CPU it would fail",
    "late_buffer": "after a resume",
    "counts_answers_for_itself": "it keeps what no checkpoint holds",
    "waits_for_answers": "`observe` reads a tensor's value",
    "hears_the_first": "in another order of the samples it learns something else",
    "says_nothing": "`observe` returns a NoneType",
    "draws_at_answers": "`observe` draws from the global generator of torch",
    "without_protocol": "`protocol` is ''",
    "constant": "noise scores as a perfect copy of 'target' does",
    "mean_of_means": "in batches of 3",
    "draws": "draws from a global random generator",
    "writes_in": "update() changes ['generated']",
    "collects": "a new instance knows what another one was given",
    "wants_none": "`samples` is 0",
    "headless": "say the figures in a sentence",
    "reads_the_unsaid": "`update` reads 'real', and the batch has",
    "far_off": "noise scores as a perfect copy of 'points' does",
    "unmarked": "['ganzoo_step_done'] lack @hookimpl",
    "interferes": "differ from those of a run without it",
}


@pytest.mark.parametrize("case", list(caught("conformance_broken_algorithms")))
def test_each_broken_toy_is_caught_for_what_it_does(case, tmp_path):
    with pytest.raises(CheckFailed) as caught:
        case(tmp_path)
    assert SAYS[case.entry.id.partition("/")[2]] in str(caught.value)


def data_cases(name, settings=None):
    return [
        case
        for case in cases("images", REGISTRY, settings)
        if case.id.startswith("check_data") and case.entry.id == name
    ]


def test_missing_files_are_not_tested_and_said_once(tmp_path):
    nowhere = {"images/two_folders": {"root": "nowhere"}}
    first, *others = data_cases("images/two_folders", nowhere)
    with pytest.raises(NotTested, match=r"the data aren't there: [\s\S]*looked at .*nowhere"):
        first(tmp_path)
    for case in others:
        with pytest.raises(Unusable) as caught:
            case(tmp_path)
        assert caught.value.reported_by == first.check.name == "check_data_fields"


@pytest.mark.parametrize(
    ("val", "test", "result"),
    [
        (DataMissing, None, NotTested),
        (DataError, None, None),
        (DataError, DataError, NotApplicable),
        (DataMissing, "train", CheckFailed),
        (DataError, "train", CheckFailed),
    ],
)
def test_a_split_that_isnt_there_hides_nothing_of_the_others(
    val, test, result, tmp_path, monkeypatch
):
    name = "check_data_splits:data conformance_good_algorithms/squares"
    case = next(one for one in cases("conformance_good_algorithms", REGISTRY) if one.id == name)
    begin = good.Squares.__init__

    def opened(data, options, split):
        other = {"train": None, "val": val, "test": test}[split]
        if isinstance(other, type):
            raise other("it isn't there")
        begin(data, options, other or split)

    monkeypatch.setattr(good.Squares, "__init__", opened)
    with pytest.raises(result) if result else contextlib.nullcontext():
        case(tmp_path)


@pytest.mark.data  # the whole set, or none
@pytest.mark.parametrize("case", data_cases("images/facades"), ids=lambda case: case.check.name)
def test_the_facades_keep_the_contract(case, tmp_path):
    with contextlib.suppress(NotApplicable):
        case(tmp_path)


def test_every_check_has_a_broken_toy():
    made = {param.values[0].check.name for param in params("conformance_good_algorithms")}
    assert made == set(broken.BREAKS.values())
    assert {name.partition("/")[2] for name in broken.BREAKS} == set(SAYS)


def test_a_loss_that_takes_no_samples_fails_one_check(tmp_path):
    mine = [
        case
        for case in cases("conformance_broken_algorithms", REGISTRY)
        if case.of == "loss conformance_broken_algorithms/shapeless"
        if case.check.function.__module__.endswith(("checks_losses", "checks_loss_values"))
    ]
    assert len(mine) == 8
    for case in mine:
        if case.check.name != "check_loss_terms":
            with pytest.raises(Unusable) as fault:
                case(tmp_path)
            assert fault.value.reported_by == "check_loss_terms"


DENSE = "conformance_good_algorithms/dense"


def test_settings_of_an_id_go_to_the_kind_that_knows_them(tmp_path):
    record = REGISTRY.record_of(DENSE)
    settings = {DENSE: {"width": 4, "wdith": 5}}
    subject = Subject(REGISTRY, record, None, tmp_path, settings)
    slip = {"use": DENSE, "wdith": 5}  # nobody knows it, so everybody complains
    assert subject.table("discriminator", DENSE) == slip
    assert subject.table("generator", DENSE) == {**slip, "preset": "tiny", "width": 4}


def test_a_goal_is_below_what_noise_does():
    assert tasks.goal_of([3.0] * 20) == pytest.approx(1.0)
    assert tasks.goal_of([-3.0] * 20) == pytest.approx(-5.0)
    assert tasks.goal_of([0.1, 8.0] * 10) == pytest.approx(1.35)  # it never comes below 0
    swings = [0.1, -0.1] * 10  # a third of their mean, 0, would be reached by the next five
    assert tasks.goal_of(swings) < -0.1


class Conditional(good.Duel):
    @classmethod
    def apply(cls, name, options, choices, io, nets, inputs):
        return {"target": nets["generator"](inputs["source"], inputs["kind"])}


def test_an_application_that_reads_more_than_it_takes_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(good.Duel, "apply", Conditional.apply)
    case = next(
        case
        for case in cases("conformance_good_algorithms", REGISTRY)
        if case.id == "check_task_applies:task conformance_good_algorithms/duel"
    )
    with pytest.raises(CheckFailed, match="reads the field 'kind', which it doesn't take"):
        case(tmp_path)


SINGLE = """
from pathlib import Path
from ganzoo.api import component, hookimpl
import conformance_broken_algorithms as toys

class Loud(toys.good.Painter):
    def forward(self, x):
        return 3 * super().forward(x)

@component("task", tags={task_tags})
def alone():
    \"""A task.\"""
    return toys.{toy}

@component("generator", toys.good.WidthOptions, tags={tags})
def loud():
    \"""A generator.\"""
    return Loud

@hookimpl
def ganzoo_recipes():
    return Path(__file__).parent.glob("*.toml")
"""
ALONE = """
name = "alone"
summary = "A recipe"
task = "single/alone"
data = {data}
generator = "single/loud"
discriminator = "conformance_good_algorithms/critic"
loss = "conformance_good_algorithms/cross_entropy"
"""
SQUARES = '"conformance_good_algorithms/squares"'


@pytest.fixture
def single(tmp_path, monkeypatch):
    """Writes a plugin of one file, and returns the cases of its task by name of the check."""

    def write(toy="good.Duel", *, recipe="", other="", tags=(), task_tags=()):
        folder = tmp_path / "single"
        folder.mkdir()
        monkeypatch.setattr(sys, "path", [*sys.path])  # the plugin's folder is added to it
        file = folder / "single.py"
        file.write_text(SINGLE.format(toy=toy, tags=tags, task_tags=task_tags))
        if recipe:
            (folder / "alone.toml").write_text(recipe)
        if other:
            (folder / "other.toml").write_text(other)
        made = registry.Registry([*RECORDS, *discovery.discover(entry_points=(), files=[file])])
        found = [one for one in cases("single", made) if one.of == "task single/alone"]
        return {case.check.name: case for case in found}

    yield write
    sys.modules.pop("single", None)


def outcomes(made, *names):
    verdicts = []
    for name in names or made:
        verdicts.append(judge(made[name], verdicts, expected=()))
    return {one.case.check.name: one for one in verdicts}


def test_a_task_without_a_recipe_fails_one_check(single):
    made = outcomes(single())
    failed = [name for name, one in made.items() if one.outcome == "failed"]
    assert failed == ["check_task_recipe"]
    assert made["check_task_step"].outcome == "not tested"
    assert "check_task_recipe reports: no recipe uses" in made["check_task_step"].message
    assert made["check_task_declarations"].outcome == "passed"


@pytest.mark.parametrize("first", ["failed", "expected", "advice"])
def test_only_a_failure_hides_another_one_of_the_same_cause(single, first):
    case = single()["check_task_recipe"]
    once = judge(case, [], expected=())
    again = judge(case, [dataclasses.replace(once, outcome=first)], expected=())
    assert again.outcome == ("not tested" if first == once.outcome == "failed" else "failed")


def test_a_task_whose_data_are_elsewhere_is_not_tested(single, tmp_path, monkeypatch):
    recipe = ALONE.format(data='{use = "images/folder", root = "pairs_of_mine"}')
    monkeypatch.chdir(tmp_path)
    names = [f"check_task_{name}" for name in ("recipe", "step", "samples", "on_ranks")]
    made = outcomes(single(recipe=recipe), *names)
    assert {one.outcome for one in made.values()} == {"not tested"}
    whole = made.pop("check_task_recipe").message
    assert str(tmp_path / "pairs_of_mine") in whole
    pointer = f"check_task_recipe reports: {whole.splitlines()[0]}"
    assert {one.message for one in made.values()} == {pointer}


def test_a_recipe_that_cant_be_opened_leaves_a_check_open(single, tmp_path, monkeypatch):
    """A recipe without classes says nothing of one whose data are missing, which may have some."""
    elsewhere = '{use = "images/folder", root = "pairs_of_mine", classes = true}'
    monkeypatch.chdir(tmp_path)
    other = ALONE.format(data=elsewhere).replace('"alone"', '"other"', 1)
    made = single(recipe=ALONE.format(data=SQUARES), other=other)
    with pytest.raises(NotTested, match=r"others can't be:[\s\S]*pairs_of_mine"):
        made["check_task_classes"](tmp_path)


def test_the_range_is_not_demanded_of_an_unbounded_network(single, tmp_path):
    recipe = ALONE.format(data=SQUARES)
    with pytest.raises(CheckFailed, match="unbounded_output"):
        single(recipe=recipe)["check_task_samples"](tmp_path)


def test_an_unbounded_network_says_so_by_its_tag(single, tmp_path):
    made = single(recipe=ALONE.format(data=SQUARES), tags=("unbounded_output",))
    made["check_task_samples"](tmp_path)


def test_a_task_may_say_that_it_reads_the_batch(single, tmp_path):
    recipe = ALONE.format(data=SQUARES)
    made = single("Gregarious", recipe=recipe, task_tags=("reads_the_batch",))
    made["check_task_applies"](tmp_path)


LATER = '[players.discriminator]\nbegin = "3 epochs"\nrest_above = 0.6'


def test_players_begin_at_once_in_the_tiny_form(single, tmp_path):
    task = "AloneForGood"  # takes a network that is absent at first to be absent for good
    made = single(task, recipe=ALONE.format(data=SQUARES) + LATER)
    made["check_task_step"](tmp_path)
    with pytest.raises(CheckFailed, match="stands still"):
        made["check_task_players_begin_later"](tmp_path)


def test_overfitting_depends_on_neither_time_nor_chance(single, tmp_path, monkeypatch):
    monkeypatch.setattr(tasks, "_TRIES", 20)
    made = single(recipe=ALONE.format(data=SQUARES))["check_task_overfits"]
    recipe = tiny_of(made, tmp_path)
    once = tasks.overfitted(recipe, ["generator"])
    torch.rand(7)
    assert tasks.overfitted(recipe, ["generator"]) == once


def tiny_of(case, folder):
    subject = Subject(case.registry, case.record, case.entry, folder)
    return tiny_recipe(subject)
