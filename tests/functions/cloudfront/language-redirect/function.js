// The root goes to the language that the viewer likes most, by Accept-Language (RFC 9110, 12.5.4), or by a cookie.
const LANGUAGES = ['en', 'de', 'fr', 'ja'];

const preferred = (header) => {
    const weighed = header.split(',').map((part, at) => {
        const pieces = part.trim().split(';');
        const q = pieces.slice(1).map((piece) => piece.trim()).find((piece) => piece.startsWith('q='));
        return { tag: pieces[0].toLowerCase(), q: q ? parseFloat(q.substring(2)) : 1, at };
    });
    weighed.sort((a, b) => b.q - a.q || a.at - b.at);
    for (let i = 0; i < weighed.length; i++) {
        const language = weighed[i].tag.split('-')[0];
        if (weighed[i].q > 0 && LANGUAGES.includes(language)) {
            return language;
        }
    }
    return LANGUAGES[0];
};

async function handler(event) {
    const request = event.request;
    if (request.uri !== '/') {
        return request;
    }
    const cookie = request.cookies.lang;
    const header = request.headers['accept-language'];
    const language = cookie && LANGUAGES.includes(cookie.value) ? cookie.value : preferred(header ? header.value : '');
    return {
        statusCode: 302,
        statusDescription: 'Found',
        headers: { location: { value: `/${language}/` }, vary: { value: 'Accept-Language, Cookie' } },
        cookies: { lang: { value: language, attributes: 'Path=/; Max-Age=31536000; Secure; SameSite=Lax' } }
    };
}
