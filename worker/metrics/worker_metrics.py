"""The counters of a worker's work, as methods that jobs call. In this class they do nothing.

`prometheus.PrometheusMetrics` counts. It is made only if `METRICS_PORT` is set, so that no other process loads
prometheus-client.
"""

from __future__ import annotations


class WorkerMetrics:
    """Takes note of events and keeps nothing. A method returns at once and never raises."""

    def count_request(self, api: str, status: str, seconds: float) -> None:
        """A request was answered, or failed.

        Args:
            api: `segment` or `mavera`.
            status: HTTP status of the answer; `none` if no usable answer came, `not_sent` if it was not sent.
            seconds: From the request to the end of its answer.
        """

    def count_limiter_wait(self, api: str, seconds: float) -> None:
        """A request has waited for its slot of the rate limit.

        Args:
            api: `segment` or `mavera`.
            seconds: How long it waited.
        """

    def count_deferral(self, api: str) -> None:
        """A slot of the rate limit was too far away, so that the job hands its sync over."""

    def count_retry(self, api: str, code: str) -> None:
        """A request has failed and is repeated.

        Args:
            api: `segment` or `mavera`.
            code: Code of the error.
        """

    def count_page(self, profiles: int) -> None:
        """A page with this many profiles was read; it counts again if another job has to read it again."""

    def count_persona(self, action: str, credits_charged: int) -> None:
        """A persona was created or updated, and recorded.

        Args:
            action: `created` or `updated`.
            credits_charged: What it cost.
        """

    def note_credits_left(self, credits_left: int, account: str = "") -> None:
        """Mavera has said how many credits the account has left.

        Args:
            credits_left: Number of credits.
            account: Its name, if `SPACES_FILE` names it.
        """

    def count_completion(self, *, preview: bool) -> None:
        """A sync is completed.

        Args:
            preview: Whether it is a preview, which has a plan and no personas.
        """

    def count_failure(self, code: str) -> None:
        """A sync has failed.

        Args:
            code: Code of its error.
        """

    def count_revival(self, kind: str) -> None:
        """A lost job was started again.

        Args:
            kind: `sync` or `batch`.
        """

    def count_refused_commit(self) -> None:
        """A job could not write, because its sync was cancelled, ended or taken over."""
