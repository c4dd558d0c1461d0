"""Label Studio's files: tasks with predictions for it, and what its export says of them."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from xml.sax.saxutils import quoteattr

from digitrec.review.page import LABELS

FIELD, IMAGE = "digit", "image"  # what the labelling interface calls the answer and the scan
HOTKEYS = {"blank": "b", "not-a-digit": "n"}


def tasks_json(data: Mapping[str, Any]) -> str:
    """Write the items of a page as Label Studio's tasks, with what was read as predictions.

    Args:
        data: as `page.page_data` gives it.
    """
    shared = {"page": data["page"], **data["origin"]}
    return json.dumps([_task(item, shared) for item in data["items"]], ensure_ascii=True)


def _task(item: Mapping[str, Any], shared: Mapping[str, str]) -> dict[str, Any]:
    told = {key: value for key, value in item.items() if key not in (IMAGE, "alternatives")}
    task: dict[str, Any] = {
        "data": {IMAGE: item[IMAGE], "path": item["path"]},
        "meta": {**told, **shared},
    }
    if item["predicted"]:
        choice = {
            "from_name": FIELD,
            "to_name": IMAGE,
            "type": "choices",
            "value": {"choices": [item["predicted"]]},
        }
        task["predictions"] = [
            {"model_version": shared["model"], "score": item["confidence"], "result": [choice]}
        ]
    return task


def config_xml() -> str:
    """Return the labelling interface that the tasks are for."""
    choices = "\n".join(
        f"    <Choice value={quoteattr(label)} hotkey={quoteattr(HOTKEYS.get(label, label))}/>"
        for label in LABELS
    )
    return (
        "<View>\n"
        f'  <Image name="{IMAGE}" value="${IMAGE}" zoom="true"/>\n'
        '  <Text name="path" value="$path"/>\n'
        f'  <Choices name="{FIELD}" toName="{IMAGE}" choice="single-radio" required="true" '
        'showInline="true">\n'
        f"{choices}\n"
        "  </Choices>\n"
        "</View>\n"
    )


def is_export(content: Any) -> bool:
    """Tell whether JSON is what Label Studio exports: a list of tasks with annotations."""
    return isinstance(content, list) and all(
        isinstance(task, dict) and "annotations" in task for task in content
    )


def answers_in(tasks: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield where each completed annotation stands, and it as a row of a page's export.

    What is not as it should be is missing from the row, and found out where rows are checked.
    """
    for place, task in enumerate(tasks, 1):
        known = _object(task.get("meta")) | {
            key: value for key, value in _object(task.get("data")).items() if key == "path"
        }
        annotations = task.get("annotations")
        for annotation in annotations if isinstance(annotations, list) else ():
            if not isinstance(annotation, dict) or annotation.get("was_cancelled"):
                continue
            answer = {
                "label": _choice(annotation.get("result")),
                "reviewer": _person(annotation.get("completed_by")),
                "time": annotation.get("updated_at") or annotation.get("created_at"),
            }
            yield f"task {place}", known | answer


def _object(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}


def _choice(result: Any) -> str:
    """Return the label that an annotation gives; empty where it gives none, or several."""
    for one in result if isinstance(result, list) else ():
        if isinstance(one, dict) and one.get("from_name") == FIELD:
            chosen = _object(one.get("value")).get("choices")
            if isinstance(chosen, list) and len(chosen) == 1:
                return str(chosen[0])
    return ""


def _person(who: Any) -> str:
    if isinstance(who, dict):
        return str(who.get("email") or who.get("id") or "")
    return "" if who is None else str(who)
