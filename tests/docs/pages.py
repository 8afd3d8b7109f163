"""The texts of the project, and the code in them."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from ..train_utils import ROOT


DOCS = ROOT / "docs"
CARDS = sorted((ROOT / "model_cards").glob("*/README.md"))
# Written for the checkout: what they link to and name must exist.
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted(DOCS.rglob("*.md")),
]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """Code of a page. Its first comment says what must be there: "# after `dcgan train`", "# with a folder of images: cats/"."""

    page: Path
    line: int
    language: str
    code: str

    def __str__(self):
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def commands_before(self):
        return re.findall(r"`(dcgan [^`]+)`", self._first_comment)

    @property
    def folders_of_images(self):
        return re.findall(r"([\w-]+)/$", self._first_comment)

    @property
    def _first_comment(self):
        first = self.code.splitlines()[0]
        return first if first.startswith("#") else ""


def blocks_of(page, *languages):
    """Code blocks of a page, in some languages or in all."""
    text = page.read_text()
    for match in _BLOCK.finditer(text):
        if not languages or match[1] in languages:
            yield Block(page, text[: match.start()].count("\n") + 2, match[1], match[2])


def prose_of(page):
    """A page without its code blocks, comments and front matter."""
    text = re.sub(r"\A---\n.*?^---\n", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"<!--(?!=).*?-->", "", text, flags=re.DOTALL)
    return _BLOCK.sub("", text)


# What makes a training small, whatever the code says; and what is lowered where the code has it.
_TRAINING = {
    "hidden_size": 4,
    "train_batch_size": 8,
    "max_train_steps": 3,
    "use_cpu": True,
    "mixed_precision": "no",
    "num_cpu_threads": 1,
}
_IN_CALLS_OF = {
    "DCGANTrainingArguments": _TRAINING,
    "DCGANSuperResolutionTrainingArguments": _TRAINING | {"resolution": 16},
    "ClassifierArguments": {"num_epochs": 1, "resolution": 16},
    "TrainingArguments": {"max_steps": 3, "use_cpu": True},
    "SearchArguments": {"num_steps": 3},
}
_LOWERED = {
    "batch_size": 32,
    "eval_num_images": 300,
    "eval_steps": 1,
    "logging_steps": 1,
    "num_images": 300,
    "save_images_steps": 1,
    "warmup_steps": 1,
    "num_train_epochs": 1,
}


class _Shrink(ast.NodeTransformer):
    def visit_Call(self, node):
        self.generic_visit(node)
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        small = _IN_CALLS_OF.get(name, {})
        if name == "arguments_from_recipe":
            node.args[2] = ast.BinOp(node.args[2], ast.BitOr(), ast.parse(repr(_TRAINING), mode="eval").body)
        node.keywords = [keyword for keyword in node.keywords if not (small and keyword.arg == "num_epochs")]
        for keyword in node.keywords:
            keyword.value = self._lower(keyword.arg, keyword.value)
        node.keywords = [keyword for keyword in node.keywords if keyword.arg not in small]
        node.keywords += [ast.keyword(key, ast.Constant(value)) for key, value in small.items()]
        given = {keyword.arg for keyword in node.keywords}
        if "eval_features" in given and "eval_num_images" not in given:
            node.keywords.append(ast.keyword("eval_num_images", ast.Constant(_LOWERED["eval_num_images"])))
        return node

    def visit_Dict(self, node):
        self.generic_visit(node)
        items = [(getattr(key, "value", None), key, value) for key, value in zip(node.keys, node.values)]
        kept = [(key, self._lower(name, value)) for name, key, value in items if name not in _TRAINING]
        node.keys, node.values = [key for key, _ in kept], [value for _, value in kept]
        return node

    def _lower(self, name, value):
        if name in _LOWERED and isinstance(value, ast.Constant) and isinstance(value.value, int):
            return ast.Constant(min(value.value, _LOWERED[name]))
        return value


def shrink(code):
    """Makes code small enough for a test: networks of four channels, three updates, few images. Nothing else changes."""
    tree = ast.fix_missing_locations(_Shrink().visit(ast.parse(code)))
    text = ast.unparse(tree).replace("my-name/", "org/").replace("zalando-datasets/fashion_mnist", "digits")
    return text.replace(".to('cuda')", "")
