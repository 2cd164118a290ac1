"""What is the plugin's own: tones, their pitch, and WAV files."""

import wave

import numpy as np
import pytest
import torch
from ganzoo_waves.data import Tones
from ganzoo_waves.options import PITCHES, PitchOptions, TonesOptions
from ganzoo_waves.pitch import Pitch, strongest_frequency
from ganzoo_waves.sound import Sound

from ganzoo.errors import DataError
from ganzoo.interfaces import Field

FIELD = Field((1, 8000), "waves/sound")


def sines(*frequencies):
    """Return sounds of a second."""
    seconds = torch.arange(8000) / 8000
    return torch.sin(2 * torch.pi * torch.tensor(frequencies)[:, None] * seconds)


def test_a_tone_has_the_pitch_of_its_class():
    tones = Tones(TonesOptions(test=8), "test")
    for sample in map(tones.load, range(8)):
        sound = Sound().to_tensors([sample["real"]], tones.fields["real"])
        expected = PITCHES[sample["label"]]
        assert strongest_frequency(sound[:, 0]).item() == pytest.approx(expected, rel=0.02)


def test_classes_are_random_in_the_control():
    tones = Tones(TonesOptions(train=400, shuffled=True), "train")
    own = [int(tones.load(index)["label"]) == index % 4 for index in range(400)]
    assert np.mean(own) == pytest.approx(1 / 4, abs=0.08)


def test_half_of_the_sounds_have_their_pitch():
    metric = Pitch(PitchOptions(pitches=(400, 600)))
    metric.update({"label": torch.tensor([0, 0, 1, 1])}, sines(400.0, 600.0, 600.0, 700.0)[:, None])
    score = metric.compute()["pitch"]
    assert score.mean == 0.5
    assert score.per_image == (1, 0, 1, 0)


def test_a_file_can_be_played(tmp_path):
    sound = Sound().to_array(sines(440.0), FIELD)
    Sound().write(sound, tmp_path / "a.wav", FIELD)
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert file.getparams()[:4] == (1, 2, 8000, 8000)
        assert np.array_equal(np.frombuffer(file.readframes(8000), "<i2")[:, None], sound)


def test_a_file_of_another_rate_is_refused(tmp_path):
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(44100)
        file.writeframes(bytes(200))
    with pytest.raises(DataError, match="44100"):
        Sound().read(path, FIELD)
