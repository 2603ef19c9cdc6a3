"""Environments are made once, by the same steps here and in a script, and a failure is one sentence."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
from toy.environment import write_recipe

from aiida_edl.environments.installation import (
    Installation,
    InstallationError,
    check_python,
    failure,
    install,
    shell_script,
)
from aiida_edl.environments.recipes import Accelerator, load_recipe, read_recipe

VERSIONS = 'import importlib.metadata, ase, numpy; print(importlib.metadata.version("toy-paths"))'


@pytest.fixture(scope='module')
def recipe(tmp_path_factory):
    return read_recipe(write_recipe(tmp_path_factory.mktemp('recipe')))


@pytest.fixture(scope='module')
def made(recipe, tmp_path_factory):
    installation = Installation(recipe, tmp_path_factory.mktemp('made') / 'toy', python=sys.executable)
    lines = []
    assert install(installation, lines.append)
    return installation, lines


def test_environment_has_what_the_recipe_names(made):
    installation, _ = made
    arguments = [installation.binaries / 'python', '-c', VERSIONS]
    assert subprocess.run(arguments, capture_output=True, text=True, check=True).stdout == '1.0\n'


def test_each_step_is_reported(made):
    assert [line.rpartition(': ')[0] for line in made[1]] == [
        'toy environment: making it',
        'toy environment: newest pip',
        'toy environment: installing the path to numpy and ASE',
    ]


def test_nothing_is_done_twice(made):
    installation, _ = made
    assert not install(installation, pytest.fail)


def test_another_recipe_is_installed_into_the_same_place(made):
    installation, _ = made
    other = replace(installation, recipe=replace(installation.recipe, constraints='toy-paths<2\n'))
    assert not other.is_complete()
    lines = []
    assert install(other, lines.append)
    assert [line.split(': ')[1] for line in lines] == ['newest pip', 'installing the path to numpy and ASE']
    assert other.is_complete()


def test_failed_step_shows_the_end_of_the_log(recipe, tmp_path):
    (step,) = recipe.steps
    absent = dict.fromkeys(Accelerator, ('not-there==1.0',))
    broken = Installation(
        replace(recipe, steps=(replace(step, packages=absent),)), tmp_path / 'toy', python=sys.executable
    )
    with pytest.raises(InstallationError) as error:
        install(broken, str)
    first, *_, last = str(error.value).splitlines()
    assert first == (
        'installing the path to numpy and ASE failed in the toy environment: the whole output is in '
        f'{tmp_path / "toy.log"}'
    )
    assert last == 'ERROR: No matching distribution found for not-there==1.0'
    assert last in (tmp_path / 'toy.log').read_text()
    assert not broken.is_complete()


@pytest.mark.parametrize(
    ('output', 'remedy'),
    [
        ('... [Errno -2] Name or service not known ...', 'pip reached no package index; check network and proxy, or '),
        (
            'OSError: [Errno 28] No space left on device',
            'the disk is full, about 6.8 GB are needed; name another --path',
        ),
    ],
)
def test_common_failures_are_answered_with_a_remedy(output, remedy):
    installation = Installation(load_recipe('grace'), PurePosixPath('/opt/grace'), Accelerator.CUDA)
    message = failure(installation, installation.steps()[1], output)
    assert message.startswith(
        f'installing TensorFlow and what tensorpotential asks for (large) failed in the grace environment: {remedy}'
    )


def test_old_python_is_refused():
    version = f'{sys.version_info.major}.{sys.version_info.minor}'
    with pytest.raises(InstallationError) as error:
        check_python(sys.executable, (4, 0))
    assert str(error.value) == (
        f"'{sys.executable}' is Python {version}, but Python 4.0 or newer is needed; name another interpreter with "
        '--python'
    )


def test_absent_python_is_refused():
    with pytest.raises(InstallationError) as error:
        check_python('python9', (3, 11))
    assert str(error.value) == (
        "there is no 'python9'; Python 3.11 or newer is needed, name another interpreter with --python"
    )


def test_folder_that_cannot_be_made_is_refused(recipe, tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(InstallationError) as error:
        install(Installation(recipe, tmp_path / 'file' / 'toy', python=sys.executable), str)
    assert str(error.value).startswith(f"'{tmp_path / 'file'}' cannot be written: ")


def test_folder_with_something_else_is_left_alone(recipe, tmp_path):
    (tmp_path / 'toy').mkdir()
    (tmp_path / 'toy' / 'thesis.tex').write_text('')
    with pytest.raises(InstallationError) as error:
        install(Installation(recipe, tmp_path / 'toy', python=sys.executable), str)
    assert str(error.value) == (
        f"'{tmp_path / 'toy'}' is there and is no Python environment; move it or name another --path"
    )
    assert (tmp_path / 'toy' / 'thesis.tex').exists()


def test_linked_environment_is_left_alone(made, recipe, tmp_path):
    (tmp_path / 'toy').symlink_to(made[0].folder)
    with pytest.raises(InstallationError) as error:
        install(Installation(recipe, tmp_path / 'toy', python=sys.executable), str)
    assert str(error.value) == (
        f"'{tmp_path / 'toy'}' is a link to '{made[0].folder}'; remove it or name another --path"
    )


def test_script_makes_the_same_environment(recipe, tmp_path):
    installation = Installation(recipe, tmp_path / 'with space' / 'toy', python=sys.executable)
    (tmp_path / 'make.sh').write_text(shell_script(installation))
    done = subprocess.run(['bash', tmp_path / 'make.sh'], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == 'newest pip\ninstalling the path to numpy and ASE\n'
    assert installation.is_complete()
    assert not install(installation, pytest.fail)


@pytest.mark.parametrize('name', ['deepmd', 'engines'])
def test_compiler_free_build_reads_files_of_the_environment(name):
    installation = Installation(load_recipe(name), PurePosixPath('/opt/environment'))
    (step,) = [step for step in installation.steps() if step.what == 'installing DeePMD-kit']
    assert step.environment['SKBUILD_CMAKE_SOURCE_DIR'] == '/opt/environment/recipe/deepmd_without_compiler'
    script = shell_script(installation)
    assert 'cat > /opt/environment/recipe/deepmd_without_compiler/CMakeLists.txt <<' in script
    assert 'DP_ENABLE_TENSORFLOW=0 DP_ENABLE_PYTORCH=0' in script


def test_accelerator_changes_what_is_installed():
    cpu, cuda = (shell_script(Installation(load_recipe('grace'), PurePosixPath('/opt/e'), a)) for a in Accelerator)
    assert 'tensorflow-cpu==2.20.0' in cpu
    assert "'tensorflow[and-cuda]==2.20.0'" in cuda


def test_program_without_aiida_names_what_is_wrong():
    arguments = [sys.executable, '-m', 'aiida_edl.environments', '--path', 'anywhere', 'graze']
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 1
    assert done.stderr.startswith("error: unknown architecture or environment 'graze': did you mean 'grace'?")
