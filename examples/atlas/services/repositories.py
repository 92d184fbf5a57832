"""Repositories, pull requests, reviews, commits and checks: a graph that takes REST five calls, and GraphQL one."""

import enum
from typing import Annotated

from msgspec import Meta

from atlas.locked import LOCK
from polywire import ID, Int32, Message, NotFound, Service, query, resolve

Number = Annotated[Int32, Meta(ge=1)]
First = Annotated[Int32, Meta(ge=1, le=50)]


class Verdict(enum.Enum):
    APPROVED = "APPROVED"
    CHANGES_REQUESTED = "CHANGES_REQUESTED"
    COMMENTED = "COMMENTED"


class CheckState(enum.Enum):
    PASSED = "PASSED"
    FAILED = "FAILED"
    RUNNING = "RUNNING"


class Repository(Message):
    id: Annotated[str, ID]
    description: str
    stars: Int32


class PullRequest(Message):
    id: Annotated[str, ID]
    number: Int32
    title: str
    author: str


class PullRequestReview(Message):
    author: str
    verdict: Verdict
    text: str


class Commit(Message):
    id: Annotated[str, ID]
    message: str


class Check(Message):
    name: str
    state: CheckState
    seconds: Int32


class Repositories(Service, package="repositories", lock=LOCK):
    """Where code is looked after."""

    @query("GET /v1/repositories/{id}", "GET /repositories/{id}", graphql="repository")
    async def get_repository(self, id: Annotated[str, ID]) -> Repository:
        """A repository, by its name."""
        if id not in REPOSITORIES:
            raise NotFound(f"no repository {id}", reason="REPOSITORY_NOT_FOUND")
        return REPOSITORIES[id]

    @query("GET /v1/repositories/{id}/pulls", "GET /repositories/{id}/pulls")
    async def list_pull_requests(self, id: Annotated[str, ID], first: First = 20) -> list[PullRequest]:
        """The open pull requests of a repository."""
        return pull_requests(await self.get_repository(id))[:first]

    @query("GET /v1/pulls/{id}/reviews", "GET /pulls/{id}/reviews")
    async def list_reviews(self, id: Annotated[str, ID], limit: First = 20) -> list[PullRequestReview]:
        """The reviews of a pull request."""
        return reviews(self._pull_request(id))[:limit]

    @query("GET /v1/pulls/{id}/commits", "GET /pulls/{id}/commits")
    async def list_commits(self, id: Annotated[str, ID], limit: First = 20) -> list[Commit]:
        """The commits of a pull request."""
        return commits(self._pull_request(id))[:limit]

    @query("GET /v1/commits/{id}/checks", "GET /commits/{id}/checks")
    async def list_checks(self, id: Annotated[str, ID], limit: First = 20) -> list[Check]:
        """What was checked of a commit."""
        if id not in _COMMITS:
            raise NotFound(f"no commit {id}", reason="COMMIT_NOT_FOUND")
        return checks(_COMMITS[id])[:limit]

    @resolve(Repository)
    async def pull_requests(self, repositories: list[Repository], first: First = 20) -> list[list[PullRequest]]:
        """The open pull requests."""
        return [pull_requests(repository)[:first] for repository in repositories]

    @resolve(PullRequest, graphql="reviews")
    async def reviews_of(self, pulls: list[PullRequest]) -> list[list[PullRequestReview]]:
        """The reviews, the oldest first."""
        return [reviews(pull) for pull in pulls]

    @resolve(PullRequest, graphql="commits")
    async def commits_of(self, pulls: list[PullRequest]) -> list[list[Commit]]:
        """The commits, the oldest first."""
        return [commits(pull) for pull in pulls]

    @resolve(Commit, graphql="checks")
    async def checks_of(self, pushed: list[Commit]) -> list[list[Check]]:
        """What was checked of it."""
        return [checks(commit) for commit in pushed]

    def _pull_request(self, id: str) -> PullRequest:
        if id not in _PULL_REQUESTS:
            raise NotFound(f"no pull request {id}", reason="PULL_REQUEST_NOT_FOUND")
        return _PULL_REQUESTS[id]


REPOSITORIES = {
    "atlas": Repository("atlas", "The demo of polywire.", 42),
    "polywire": Repository("polywire", "One typed Python service, every protocol, one port.", 4200),
}
_TITLES = ("Answer over one more protocol", "Bound the queue", "Say what went wrong", "Measure before and after")


def pull_requests(repository: Repository) -> list[PullRequest]:
    return [
        PullRequest(f"{repository.id}-{number}", number, title, f"User {number}")
        for number, title in enumerate(_TITLES, 1)
    ]


def reviews(pull: PullRequest) -> list[PullRequestReview]:
    verdict = Verdict.APPROVED if pull.number % 2 else Verdict.CHANGES_REQUESTED
    return [
        PullRequestReview("User 7", Verdict.COMMENTED, "Which test fails without this?"),
        PullRequestReview("User 8", verdict, "Seen and tried."),
    ]


def commits(pull: PullRequest) -> list[Commit]:
    return [Commit(f"{pull.id}-{place}", f"{pull.title}, part {place}") for place in (1, 2, 3)]


def checks(commit: Commit) -> list[Check]:
    last = commit.id.endswith("3")
    return [
        Check("lint", CheckState.PASSED, 12),
        Check("test", CheckState.RUNNING if last else CheckState.PASSED, 240),
    ]


_PULL_REQUESTS = {pull.id: pull for repository in REPOSITORIES.values() for pull in pull_requests(repository)}
_COMMITS = {commit.id: commit for pull in _PULL_REQUESTS.values() for commit in commits(pull)}
