"""Starlette, served by Granian over ASGI."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


def user(id: int) -> dict[str, object]:
    return {"id": id, "name": "Alice", "email": "alice@example.com", "age": 30}


async def get_user(request: Request) -> JSONResponse:
    return JSONResponse(user(request.path_params["id"]))


async def get_users(request: Request) -> JSONResponse:
    return JSONResponse({"users": [user(i) for i in range(1, int(request.query_params["count"]) + 1)]})


app = Starlette(routes=[Route("/v1/users/{id:int}", get_user), Route("/v1/users", get_users)])
