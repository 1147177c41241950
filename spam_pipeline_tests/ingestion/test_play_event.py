import re
from pathlib import Path

from spam_pipeline.ingestion import decode_protobuf
from spam_pipeline.ingestion.decode_protobuf import play_event

FILE = Path(decode_protobuf.__file__).with_name("play_event.proto")


def test_the_published_message_is_the_one_that_is_decoded() -> None:
    published = re.findall(r"^  (optional )?(int32|int64|string) (\w+) = (\d+);$", FILE.read_text(), re.MULTILINE)
    kinds = {3: "int64", 5: "int32", 9: "string"}
    decoded = [
        ("optional " if field.has_presence else "", kinds[field.type], field.name, str(field.number))
        for field in play_event().DESCRIPTOR.fields
    ]
    assert decoded == published
    assert len(decoded) == 12
