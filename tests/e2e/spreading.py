"""A stage with queues: MiniStack's SQS beside the faulty server, an owner and workers."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from program import Ran, Running
from servers import MakeClient, S3Server
from stage import Stage

QUEUES = ("tasks", "results", "dead")
VISIBILITY_SECONDS = 3


@dataclass
class Spreading:
    """The queues of spread catch-ups, and the programs that use them."""

    stage: Stage
    sqs: Any
    environment: Mapping[str, str]
    urls: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, stage: Stage, server: S3Server, make_client: MakeClient, *, receives: int = 10, **work: Any
    ) -> "Spreading":
        """New queues on the server, and a configuration that names them."""
        keys = {"access_key_id": server.access_key_id, "secret_access_key": server.secret_access_key}
        sqs = make_client(server.url, "sqs", **keys)
        environment = {
            "AWS_ACCESS_KEY_ID": server.access_key_id,
            "AWS_SECRET_ACCESS_KEY": server.secret_access_key,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_SQS": server.url,
        }
        urls = {name: sqs.create_queue(QueueName=f"syncd-{name}")["QueueUrl"] for name in QUEUES}
        arn = sqs.get_queue_attributes(QueueUrl=urls["dead"], AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": str(receives)})
        sqs.set_queue_attributes(QueueUrl=urls["tasks"], Attributes={"RedrivePolicy": policy})
        settings = {"tasks": urls["tasks"], "results": urls["results"], "visibility": f"{VISIBILITY_SECONDS}s", **work}
        made = cls(stage, sqs, environment, urls, settings)
        made.configure()
        return made

    def configure(self, *, state_dir: Path | None = None, **work: Any) -> None:
        """Writes syncd.toml, with changed keys of [work], and perhaps another folder of state."""
        own = {} if state_dir is None else {"state_dir": state_dir}
        self.stage.configure({**own, **{f"work.{name}": value for name, value in {**self.settings, **work}.items()}})

    def owner(self, *arguments: str, **how: Any) -> Ran:
        """Runs a spread catch-up to its end."""
        return self.stage.syncd("catch-up", "--json", "--spread", *arguments, **self.environment, **how)

    def start_owner(self, *arguments: str) -> contextlib.AbstractContextManager[Running]:
        """Starts a spread catch-up."""
        return self.stage.start("catch-up", "--json", "--spread", *arguments, **self.environment)

    def start_worker(self, *arguments: str) -> contextlib.AbstractContextManager[Running]:
        """Starts a worker."""
        return self.stage.start("work", *arguments, **self.environment)

    @contextlib.contextmanager
    def workers(self, count: int) -> Iterator[list[Running]]:
        """Workers until the end of the block."""
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(self.start_worker()) for _ in range(count)]

    def waiting(self) -> dict[str, int]:
        """How many messages each queue has, in hand or not."""
        return {name: self._waiting(url) for name, url in self.urls.items()}

    def _waiting(self, url: str) -> int:
        attributes = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return sum(int(value) for name, value in attributes.items() if name.startswith("ApproximateNumberOf"))
