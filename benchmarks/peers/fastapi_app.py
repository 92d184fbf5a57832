"""FastAPI, served by uvicorn with uvloop and httptools."""

from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class User(BaseModel):
    id: int
    name: str
    email: str
    age: int | None = None


class UserList(BaseModel):
    users: list[User]


@app.get("/v1/users/{id}")
async def get_user(id: int) -> User:
    return User(id=id, name="Alice", email="alice@example.com", age=30)


@app.get("/v1/users")
async def get_users(count: int) -> UserList:
    return UserList(users=[User(id=i, name="Alice", email="alice@example.com", age=30) for i in range(1, count + 1)])
