"""How a server behaves: its limits and its clocks, each with its one default."""

from dataclasses import dataclass, field, fields
from typing import Any

from intent_bert.config import check_count
from intent_bert.errors import SettingsError


def _limit(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class ServerSettings:
    """Limits are refused with 413 or 503, clocks with 408 or 503; each refusal is a JSON object with one sentence."""

    cache_size: int = _limit(4096, "how many sentences each model keeps the predictions of; 0: none")
    batch_wait: float = _limit(2.0, "milliseconds that an idle model waits for more sentences to compute together")
    batch_size: int = _limit(128, "sentences computed together, at most")
    max_body: int = _limit(1 << 20, "bytes of a request's body, at most")
    max_texts: int = _limit(1000, "texts of a request, at most")
    max_length: int = _limit(10_000, "characters of a text, at most")
    max_waiting: int = _limit(1000, "requests that wait for a model, at most")
    max_connections: int = _limit(1000, "open connections, at most")
    timeout: float = _limit(30.0, "seconds within which a request is answered")
    read_timeout: float = _limit(10.0, "seconds within which a request must have arrived, head and body each")
    keep_alive: float = _limit(30.0, "seconds that a connection may be idle between two requests")
    grace: float = _limit(30.0, "seconds to finish what was taken after SIGTERM or Ctrl-C")
    reload_every: float = _limit(2.0, "seconds between two looks at the model folders; 0: never")
    log_texts: bool = _limit(False, "write the texts of each request into its log line")

    def __post_init__(self) -> None:
        zero_is_fine = {"cache_size", "batch_wait", "reload_every"}
        for each in fields(self):
            value, name = getattr(self, each.name), each.name.replace("_", "-")
            if each.type is int and value != 0:
                check_count(name, value)
            if each.type in (int, float) and not (value > 0 or (value == 0 and each.name in zero_is_fine)):
                raise SettingsError(f"{name} must be above 0, not {value}")
