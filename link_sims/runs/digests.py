"""Digests of the code behind a run: the experiment's own, the library's, the versions.

Files are parsed, never imported. Comments, layout, documentation, claims, drawings, and what only
they use, do not count: no unit depends on them.
"""

import ast
import contextlib
import functools
import hashlib
import importlib.util
import inspect
import json
import pathlib
import platform
import sys
import sysconfig
import textwrap
import types
from importlib import metadata

__all__ = ["difference", "digests", "versions"]

_HERE = pathlib.Path(__file__).resolve().parents[1]
_PAPERS = _HERE / "papers"
_LIBRARY = (_HERE, _HERE.parent / "sionna_irs")
_STDLIB = pathlib.Path(sysconfig.get_path("stdlib")).resolve()
# Packages whose objects may hold some of the user's, and what holds nothing.
_OPEN = {"__main__", "keras", "sionna", "sionna_irs", "link_sims"}
_PLAIN = (str, bytes, int, float, complex, types.ModuleType, types.NoneType)
# Stands for every name of every module, where names are computed.
_ANY = "*"
# Arguments of an Experiment that no unit depends on; the configuration is compared by itself.
_CLAIMS = {"claim", "published", "theory", "ours"}
_SHOWN = {"title", "answers", "x_label", "x_scale", "profiles"}


def versions():
    """{package: version} of what computes; None for what is not installed."""
    names = ("sionna-irs", "sionna", "tensorflow", "keras", "numpy", "scipy")
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def digests(experiment):
    """What the units of an experiment depend on, beside its configuration.

    Returns
    -------
    dict
        "file", where the experiment is declared; "functions", ``{file: {name: digest}}``;
        "source", the digest of these; "library"; "versions"; "version", what the author of a model
        says of its state.
    """
    roots = _roots(experiment)
    found = _functions(roots)
    file = next(iter(found), None)
    if _declared(experiment) is not None:
        found = {"" if key == file else key: names for key, names in found.items()}
    entry = {"file": file, "version": experiment.version, "functions": found}
    what = json.dumps([entry["functions"], entry["version"]], sort_keys=True)
    return {
        **entry, "source": hashlib.sha256(what.encode()).hexdigest(), "library": _library(),
        "versions": versions(),
    }  # fmt: skip


def difference(old, new):
    """(kind, words) of what differs: "source", "release", "library"; (None, "") for nothing."""
    if old["source"] != new["source"]:
        return "source", _first_difference(old, new)
    names = [n for n in new["versions"] if old["versions"].get(n) != new["versions"][n]]
    words = [f"{n} was {old['versions'].get(n)} and is {new['versions'][n]}" for n in names]
    if "sionna-irs" in names:
        return "release", words[names.index("sionna-irs")]
    if old["library"] != new["library"]:
        words.insert(0, "sionna_irs or link_sims has changed")
    return ("library", "; ".join(words)) if words else (None, "")


def _first_difference(old, new):
    """The first function, by file and name, that is another one."""
    if old["version"] != new["version"]:
        return f"version was {old['version']!r} and is {new['version']!r}"
    for file in [*new["functions"], *old["functions"]]:
        there, here = old["functions"].get(file, {}), new["functions"].get(file, {})
        for name in [*here, *there]:
            if there.get(name) != here.get(name):
                return f"{name} in {file or new['file']} has changed"
    return "its code has changed"


def _library():
    """Digest of the two packages without the experiments, which count where they are used.

    Cards of shipped weights are part of it, and hold the digests of the weights.
    """
    digest = hashlib.sha256()
    for root in _LIBRARY:
        for path in sorted((*root.rglob("*.py"), *root.glob("weights/*.json"))):
            if _PAPERS not in path.parents:
                digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


# Where the code begins.


def _roots(experiment):
    """{file: names or None}: all that a file does, or only what is needed for some names of it."""
    declared = _declared(experiment)
    if declared is not None:
        return {pathlib.Path(declared).resolve(): None}
    runs = (experiment.sweep_run, experiment.table_run, *experiment.recursions.values())
    return _live_roots([getattr(run, "builder", run) for run in runs] + [experiment.config])


def _declared(experiment):
    """The file of an experiment that was found by its name; None for a live one."""
    if experiment.source is not None:
        return experiment.source.rpartition(":")[0]
    return experiment.module and sys.modules[experiment.module].__file__


def _live_roots(objects):
    """Files and names of the functions and classes that live objects are made of."""
    roots, seen, stack = {}, {}, list(objects)
    file_of = functools.cache(_file_of)
    while stack:
        item = stack.pop()
        if id(item) in seen or isinstance(item, _PLAIN):
            continue
        seen[id(item)] = item
        stack += _inside(item, file_of)
        for file, name in _places(item, file_of):
            roots.setdefault(file, set()).add(name)
    return {file: roots[file] for file in sorted(roots, key=lambda f: (f.name, str(f)))}


def _places(item, file_of):
    """(file, name) of a function, or of the classes of an object, outside installed packages."""
    function = isinstance(item, types.FunctionType)
    kinds = [item] if function else (item if isinstance(item, type) else type(item)).__mro__
    found = [(file_of(kind), kind.__qualname__.split(".")) for kind in kinds]
    # A text is that of the innermost function, a file holds the outermost one.
    return [(f, path[-1 if isinstance(f, _Text) else 0]) for f, path in found if f is not None]


def _inside(item, file_of):
    """What an object consists of."""
    if isinstance(item, dict):
        return [*item.values()]
    if isinstance(item, list | tuple | set | frozenset):
        return [*item]
    if isinstance(item, types.MethodType):
        return [item.__self__, item.__func__]
    if isinstance(item, functools.partial):
        return [item.func, item.args, item.keywords]
    if isinstance(item, types.FunctionType):
        found = [item.__defaults__, item.__kwdefaults__, getattr(item, "__wrapped__", None)]
        for cell in item.__closure__ or ():
            with contextlib.suppress(ValueError):  # it is empty
                found.append(cell.cell_contents)
        if isinstance(file_of(item), _Text):
            found += [item.__globals__.get(name) for name in item.__code__.co_names]
        return found
    if isinstance(item, type):
        # A notebook's classes have no text, their methods have.
        mine = item.__module__ == "__main__"
        return [v for v in vars(item).values() if mine and isinstance(v, types.FunctionType)]
    home = type(item).__module__.partition(".")[0]
    if home in _OPEN or _places(item, file_of):
        return [type(item), *getattr(item, "__dict__", {}).values()]
    return [getattr(item, "python_function", None)]  # of a tf.function


def _file_of(kind):
    """The file of a function or class, if it is no installed one; its text where there is none."""
    module = sys.modules.get(kind.__module__)
    file = getattr(module, "__file__", None)
    if isinstance(kind, types.FunctionType) and file is None:
        file = kind.__code__.co_filename
    if file is not None and pathlib.Path(file).is_file():
        file = pathlib.Path(file).resolve()
        return file if _counts(file) else None
    if kind.__module__ != "__main__":
        return None
    try:  # a notebook
        text = _Text(textwrap.dedent(inspect.getsource(kind)))
    except (OSError, TypeError):
        return None
    text.name = kind.__qualname__
    return text


class _Text(str):
    """Code that lies in no file, with its name."""


def _counts(file):
    """Whether a file is the user's, or an experiment of the package."""
    if _PAPERS in file.parents:
        return True
    packages = {"site-packages", "dist-packages"} & set(file.parts)
    return not packages and not {_STDLIB, *_LIBRARY} & set(file.parents)


# What is reached from there.


class _Statement:
    """One statement of a module: what it defines, uses, and whether it acts when imported."""

    def __init__(self, node, free):
        self.node, self.kept = node, False
        self.defines, acts = _defined(node)
        self.acts = acts and free
        self.uses = {
            name
            for part in ast.walk(node)
            for name in (
                [part.id] if isinstance(part, ast.Name)
                else [part.attr] if isinstance(part, ast.Attribute)
                else part.name.split(".") if isinstance(part, ast.alias)
                else [_ANY] if _computes_a_name(part)
                else []
            )
        }  # fmt: skip


def _computes_a_name(node):
    """Whether a call looks up what only it knows the name of."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return False
    if node.func.id == "getattr":
        return not any(isinstance(name, ast.Constant) for name in node.args[1:2])
    return node.func.id in ("eval", "exec", "globals")


def _defined(node):
    """(names, whether there is more to a statement than to define them)."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}, bool(node.decorator_list)
    if isinstance(node, ast.Import | ast.ImportFrom):
        (alias,) = node.names
        return {alias.asname or alias.name.partition(".")[0]}, alias.name == "*"
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = {part.id for t in targets for part in ast.walk(t) if isinstance(part, ast.Name)}
        plain = not any(isinstance(t, ast.Attribute | ast.Subscript) for t in targets)
        calls = any(isinstance(part, ast.Call) for part in ast.walk(node))
        return names, calls or not plain
    return set(), True


def _functions(roots):
    """{file: {name: digest}} of all that is reached from the roots."""
    modules, used = {}, set()
    for path, names in roots.items():
        folder = path.parent if isinstance(path, pathlib.Path) else None
        modules[path] = path.name, folder, _statements(path, free=names is None)
        used |= names or set()
    changed = True
    while changed:
        changed = False
        for path, (_, folder, statements) in list(modules.items()):
            for statement in statements:
                wanted = statement.defines if _ANY in used else statement.defines & used
                if statement.kept or not (statement.acts or wanted):
                    continue
                changed = statement.kept = True
                used |= statement.uses
                for file, base in _imported(statement.node, path, folder):
                    if file not in modules and _counts(file):
                        modules[file] = _label(file, base), base, _statements(file, free=True)
    return {label: _named(statements) for label, _, statements in modules.values()}


def _label(file, base):
    """A name of a module that stays when everything is moved."""
    base = _HERE.parent if _PAPERS in file.parents else base
    return file.relative_to(base).as_posix() if base in file.parents else file.name


def _named(statements):
    """{name: digest} of the statements of a module that count."""
    texts, whole = {}, ""
    for statement in statements:
        if not statement.kept:
            continue
        node, names = statement.node, sorted(statement.defines)
        text = _text(node)
        if not names:
            whole += text
            continue
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            whole += f"{names};"  # in which order they come may matter
        called = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        key = f"{node.name}()" if called else names[0]
        texts[key] = texts.get(key, "") + text
    texts["the module level"] = whole
    return {k: hashlib.sha256(text.encode()).hexdigest()[:16] for k, text in texts.items()}


def _statements(path, free):
    """The statements of a file, without what no unit depends on."""
    try:
        tree = ast.parse(path if isinstance(path, _Text) else path.read_bytes())
    except (SyntaxError, ValueError):  # not ours to say
        return []
    found = []
    for node in _Cut().visit(tree).body:
        if isinstance(node, ast.Import):
            found += [ast.Import([alias]) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [ast.ImportFrom(node.module, [alias], node.level) for alias in node.names]
        else:
            found.append(node)
    return [_Statement(node, free) for node in found]


class _Cut(ast.NodeTransformer):
    """Takes out texts that stand alone, claims, drawings, headings, and what only scripts do."""

    def visit_Expr(self, node):
        called = node.value.func if isinstance(node.value, ast.Call) else None
        claim = isinstance(called, ast.Attribute) and called.attr in _CLAIMS
        return None if claim or isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_FunctionDef(self, node):
        attributes = {getattr(decorator, "attr", None) for decorator in node.decorator_list}
        return None if "figure" in attributes else self.generic_visit(node)

    def visit_Call(self, node):
        name = getattr(node.func, "attr", getattr(node.func, "id", None))
        if name == "Experiment":
            node.keywords = [k for k in node.keywords if k.arg not in _SHOWN]
        return self.generic_visit(node)

    def visit_If(self, node):
        names = {part.id for part in ast.walk(node.test) if isinstance(part, ast.Name)}
        return None if "__name__" in names else self.generic_visit(node)


def _text(node):
    """A tree as text, the same for every version of Python: what is empty is left out."""
    if isinstance(node, ast.AST):
        fields = (f"{k}={_text(v)}" for k, v in ast.iter_fields(node) if v is not None and v != [])
        return f"{type(node).__name__}({','.join(fields)})"
    return f"[{','.join(map(_text, node))}]" if isinstance(node, list) else repr(node)


def _imported(node, path, folder):
    """(file, folder that its name counts from) of the modules that a statement imports."""
    for part in ast.walk(node):
        if isinstance(part, ast.Import):
            names, level = [alias.name.split(".") for alias in part.names], 0
        elif isinstance(part, ast.ImportFrom):
            stem, level = part.module.split(".") if part.module else [], part.level or 0
            names = [stem, *([*stem, alias.name] for alias in part.names)]
        else:
            continue
        for name in filter(None, names):
            base = path.parents[level - 1] if level else _base(name[0], folder)
            if base is not None:
                for file in _files(base, name):
                    yield file, folder if level else base


def _files(base, name):
    """The files that make up a module: it and the packages around it."""
    for length in range(1, len(name) + 1):
        place = base.joinpath(*name[:length])
        for file in (place.with_name(place.name + ".py"), place / "__init__.py"):
            if file.is_file():
                yield file.resolve()


def _base(top, folder):
    """The folder in which a module is found, beside the importing file or along sys.path."""
    if folder is not None and ((folder / f"{top}.py").is_file() or (folder / top).is_dir()):
        return folder
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.has_location:
        return None
    file = pathlib.Path(spec.origin).resolve()
    return file.parent.parent if spec.submodule_search_locations else file.parent
