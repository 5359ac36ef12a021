// CORS for pages that ask, where the origin says nothing of it.
function handler(event) {
    var request = event.request;
    var response = event.response;

    if (request.headers['origin'] && !response.headers['access-control-allow-origin']) {
        response.headers['access-control-allow-origin'] = { value: request.headers['origin'].value };
        response.headers['vary'] = response.headers['vary']
            ? { value: response.headers['vary'].value + ', Origin' }
            : { value: 'Origin' };
    }
    return response;
}
