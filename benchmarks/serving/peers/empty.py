"""The limit: what HTTP alone costs here. The same server and framework, and a constant for an answer.

`/predict` is answered below FastAPI, as Evergreen answers it; `/fastapi` by FastAPI.
"""

from fastapi import FastAPI, Request, Response

ANSWER = (
    b'{"model":"bench","version":1,"request_id":"6b01f393f298572b1be1-2","prediction_id":"6b01f393f298572b1be1-2.0",'
    b'"prediction":"no","probabilities":{"no":0.8123456789012345,"yes":0.1876543210987655}}'
)
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(ANSWER)).encode())]
pages = FastAPI()


@pages.get("/health")
def health():
    return "ok"


@pages.post("/fastapi")
async def answer(request: Request):
    await request.body()
    return Response(ANSWER, media_type="application/json")


async def app(scope, receive, send):
    if scope["type"] != "http" or scope["path"] != "/predict":
        await pages(scope, receive, send)
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": ANSWER})
